package health

import (
	"context"
	"errors"
	"hash/fnv"
	"net/url"
	"sync"
	"time"

	"campuskeep/firmware/site"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

const (
	parallelVisits = 4 // visits to cameras at the same time
	// A camera that refused the password is left alone for so long, or until its row or password changes: cameras
	// lock accounts and addresses.
	afterRefusal = 6 * time.Hour
	// A camera that did not tell its time by ONVIF is not asked for it again for so long.
	afterSilence = 6 * time.Hour
	onvifTime    = 3 * time.Second
)

// visit is what is known of the visits to one camera. Guarded by Monitor.mu.
type visit struct {
	cam    footage.Camera // as it was when it was last visited
	login  site.Login     // that was used: a changed one is tried at once
	busy   bool
	next   time.Duration // not before
	silent time.Duration // ask for the time by ONVIF not before
	before footage.Sample
	result LastVisit
}

// LastVisit is what the last visit to a camera found.
type LastVisit struct {
	At      clock.Reading
	Trouble Trouble // why there was no picture; empty: there was
	Look    footage.Sample
	Changed int // cells of 144 that differ from the picture before; -1: there was none before
	Black   footage.Finding
	Frozen  footage.Finding

	HasClock bool
	Offset   time.Duration // of the camera's clock
	Unsure   time.Duration
	ByONVIF  bool // else by the date of its web server
	Clock    footage.Finding
}

// LastVisit returns what the last visit to a camera found.
func (r *Monitor) LastVisit(camera string) (LastVisit, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.visits[camera]
	if v == nil || v.result.At.Boot == "" {
		return LastVisit{}, false
	}
	return v.result, true
}

// visitDue starts the visits that are due, as far as there are slots; the rest waits for the next beat.
func (r *Monitor) visitDue(ctx context.Context, wg *sync.WaitGroup, slots chan struct{}, results chan<- []observation) {
	now := r.o.Clock.Now()
	for _, cam := range r.o.Site.Cameras() {
		if cam.Retired || cam.Still == "" || ctx.Err() != nil {
			continue
		}
		if !r.isDue(cam, now.Mono) {
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			return
		}
		r.setBusy(cam.ID)
		wg.Go(func() {
			defer func() { <-slots }()
			seen := r.visitCamera(ctx, cam)
			select {
			case results <- seen:
			case <-ctx.Done():
			}
		})
	}
}

// isDue says whether a camera is to be visited now. The first visits are spread over the time between two.
func (r *Monitor) isDue(cam footage.Camera, now time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.visits[cam.ID]
	if v == nil {
		h := fnv.New32a()
		h.Write([]byte(cam.ID)) // a hash never fails
		v = &visit{cam: cam, next: now + r.o.Every/1000*time.Duration(h.Sum32()%1000)}
		r.visits[cam.ID] = v
	}
	if v.cam.Still != cam.Still || v.cam.Pin != cam.Pin { // another address: what was seen there says nothing
		*v = visit{cam: cam, busy: v.busy}
	}
	return !v.busy && now >= v.next
}

func (r *Monitor) setBusy(camera string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.visits[camera].busy = true
}

// clearRefusals lets cameras that refused a password be asked again when it has changed.
func (r *Monitor) clearRefusals() {
	r.mu.Lock()
	var refused []string
	for id, v := range r.visits {
		if v.result.Trouble == TroubleLogin {
			refused = append(refused, id)
		}
	}
	r.mu.Unlock()
	for _, id := range refused {
		login, err := r.o.Site.Credentials(id)
		if err != nil {
			r.o.Log.Error("the password of a camera cannot be read", "camera", id, "err", err)
			continue
		}
		r.mu.Lock()
		if v := r.visits[id]; v.login != login {
			v.next = 0
		}
		r.mu.Unlock()
	}
}

// visitCamera visits one camera: its picture, and its clock.
func (r *Monitor) visitCamera(ctx context.Context, cam footage.Camera) []observation {
	login, err := r.o.Site.Credentials(cam.ID)
	if err != nil {
		r.o.Log.Error("camera not visited", "camera", cam.ID, "err", err)
		r.storeVisit(cam, visit{next: r.o.Clock.Now().Mono + r.o.Every})
		return nil
	}
	r.mu.Lock()
	before := *r.visits[cam.ID]
	r.mu.Unlock()
	after := before
	after.login = login
	asked := r.o.Clock.Now()
	after.next = asked.Mono + r.o.Every
	still, err := FetchStill(ctx, Ask{cam.Still, cam.Pin, login, cam.Basic})
	now := r.o.Clock.Now()
	after.result = LastVisit{At: now, Changed: -1}
	var out []observation
	found := func(code footage.FaultCode, f footage.Finding, offset time.Duration) {
		out = append(out, observation{key: key{cam.ID, code}, finding: f, offset: offset, at: now})
	}
	s := &after.result
	switch {
	case err != nil:
		var why *StillError
		if errors.As(err, &why) {
			s.Trouble = why.Trouble
		}
		if s.Trouble == TroubleLogin {
			after.next = asked.Mono + max(afterRefusal, r.o.Every)
		}
		found(footage.FaultBlack, footage.Unsure, 0)
		found(footage.FaultFrozen, footage.Unsure, 0)
	default:
		look, ok := footage.Measure(still.Image)
		if !ok {
			break // a stamp: nothing can be judged by it
		}
		if before.before.Taken() {
			s.Changed = look.Changed(before.before)
		}
		s.Look, after.before = look, look
		s.Black = footage.JudgeBlack(look, before.before, r.o.Light(now.Wall))
		s.Frozen = footage.JudgeFrozen(look, before.before)
		found(footage.FaultBlack, s.Black, 0)
		found(footage.FaultFrozen, s.Frozen, 0)
	}
	r.compareClocks(ctx, cam, &after, still, asked, now)
	if s.HasClock {
		found(footage.FaultTime, s.Clock, s.Offset)
	}
	r.storeVisit(cam, after)
	return out
}

// compareClocks finds how far the camera's clock is from ours: by ONVIF, which tells seconds of UTC, or else by the
// date of its web server, which may be a local time under the name of GMT.
func (r *Monitor) compareClocks(ctx context.Context, cam footage.Camera, v *visit, still Still, asked, got clock.Reading) {
	s := &v.result
	u, err := url.Parse(cam.Still)
	if err != nil {
		return // FetchStill has said so
	}
	if got.Mono >= v.silent && s.Trouble != TroubleUnreachable && s.Trouble != TroubleSlow && s.Trouble != TroubleCertificate {
		client, done := new(Still).client(u, cam.Pin)
		defer done()
		short, cancel := context.WithTimeout(ctx, onvifTime)
		defer cancel()
		from := r.o.Clock.Now()
		at, took, err := cameraTime(short, client, u)
		if err == nil {
			s.ByONVIF = true
			r.offset(s, at, from, took)
			return
		}
		v.silent = got.Mono + afterSilence
		r.o.Log.Debug("camera gives no time", "camera", cam.ID, "err", err)
	}
	if !still.Date.IsZero() {
		r.offset(s, still.Date, asked, got.Mono-asked.Mono)
	}
}

// offset compares a time that was reported to the second, somewhere in took after from.
func (r *Monitor) offset(s *LastVisit, shown time.Time, from clock.Reading, took time.Duration) {
	s.HasClock = true
	s.Offset = shown.Add(500 * time.Millisecond).Sub(from.Wall.Add(took / 2))
	s.Unsure = took/2 + time.Second/2 + from.Uncertainty
	s.Clock = footage.Unsure
	if from.State == clock.Trusted { // else ours may be the wrong one
		s.Clock = footage.JudgeClock(s.Offset, s.Unsure, !s.ByONVIF)
	}
}

// storeVisit stores what a visit found, unless the camera has another address by now.
func (r *Monitor) storeVisit(cam footage.Camera, after visit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.visits[cam.ID]
	if v.cam.Still != cam.Still || v.cam.Pin != cam.Pin {
		v.busy = false
		return
	}
	after.cam, after.busy = cam, false
	*v = after
}
