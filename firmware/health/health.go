// Package health looks after the cameras: it notices that one is offline, shows the wrong time, is frozen or is
// black, and opens a fault for the technician who is named for it (F1).
//
// It owns the table of faults, the visits to the cameras' own JPEG pictures and clocks, and the test of a camera that
// is being installed. It must never keep a picture, ask a camera again that refused the password, or write an entry
// for every twitch of a loose plug.
package health

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/site"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// ErrNotFound: no such fault.
var ErrNotFound = errors.New("health: no such fault")

// Site is what health needs of the register of cameras. *site.Site is one.
type Site interface {
	Cameras() []footage.Camera
	Camera(id string) (footage.Camera, bool)
	Credentials(camera string) (site.Login, error)
	Subscribe() (<-chan struct{}, func())
}

// Seen is what another package observes of a camera at this moment.
type Seen struct {
	Camera  string
	Code    footage.FaultCode
	Finding footage.Finding
}

// Options configure Open.
type Options struct {
	Store *ledgerdb.Store
	Site  Site
	Clock clock.Clock
	// Watch returns what other packages observe of the cameras: the recorder of its own, the NVRs of theirs. Each is
	// asked at every beat and must answer from memory.
	Watch []func() []Seen
	// Light says how bright it ought to be at an instant; nil: it is always night, and black says nothing.
	Light func(time.Time) footage.Light
	Beat  time.Duration // between looks at what other packages see; 15 s when zero
	Every time.Duration // between pictures of one camera; 5 min when zero
	Log   *slog.Logger
}

// Monitor watches the cameras. All methods are safe for concurrent use.
type Monitor struct {
	o       Options
	writing sync.Mutex // one change of the faults at a time: taken before mu

	mu      sync.Mutex // guards the rest
	watches map[key]footage.FaultWatch
	open    map[key]row
	visits  map[string]*visit // by camera

	trying sync.Mutex // one test of a camera at a time
}

// key is one possible fault.
type key struct {
	camera string
	code   footage.FaultCode
}

type row struct {
	Fault
	rev uint64
}

// Fault is one fault of one camera. Its note of what was done is sealed in the log, not here.
type Fault struct {
	ID         string            `json:"id"` // <camera>-<code>-<number>
	Camera     string            `json:"camera"`
	Code       footage.FaultCode `json:"code"`
	Technician string            `json:"technician,omitempty"` // who was named when it opened
	Opened     time.Time         `json:"opened"`
	Acks       []Ack             `json:"acks,omitempty"`
	Closed     time.Time         `json:"closed,omitzero"`
	Reason     string            `json:"reason,omitempty"` // why it closed: a code
	OffsetMS   int64             `json:"offset_ms,omitempty"`
}

// Ack is a person who has taken note of a fault.
type Ack struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// Why a fault closes.
const (
	ReasonWell      = "well"      // the camera was well for the stated time
	ReasonRetired   = "retired"   // the camera was taken out of service
	ReasonUnwatched = "unwatched" // nobody looks any more: it has no still picture, or another keeper
)

// maxAcks is how many notes one fault takes: it is a log of work, not a chat.
const maxAcks = 20

var faults = ledgerdb.NewTable[Fault]("faults", ledgerdb.Replayable())

// Open loads the faults. The store's Run need not run yet.
func Open(o Options) (*Monitor, error) {
	if o.Beat == 0 {
		o.Beat = 15 * time.Second
	}
	if o.Every == 0 {
		o.Every = 5 * time.Minute
	}
	if o.Light == nil {
		o.Light = func(time.Time) footage.Light { return footage.Night }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Monitor{o: o, watches: map[key]footage.FaultWatch{}, open: map[key]row{}, visits: map[string]*visit{}}
	now := o.Clock.Now()
	err := o.Store.View(func(tx ledgerdb.Tx) error {
		for _, f := range faults.Rows(tx, "") {
			if f.Err != nil {
				return f.Err
			}
			r.load(f.Value, f.Rev, now)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open the faults: %w", err)
	}
	return r, nil
}

func (r *Monitor) load(f Fault, rev uint64, now clock.Reading) {
	k := key{f.Camera, f.Code}
	w := r.watches[k]
	if f.Closed.IsZero() {
		w.Open = true
		r.open[k] = row{f, rev}
	} else if ago := now.Wall.Sub(f.Closed); ago >= 0 && ago < footage.FlapMemory && f.Reason == ReasonWell {
		w.Closed = append(w.Closed, now.Mono-ago)
	} else {
		return
	}
	r.watches[k] = w
}

// Run watches until ctx ends.
func (r *Monitor) Run(ctx context.Context) error {
	results := make(chan []observation)
	slots := make(chan struct{}, parallelVisits)
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(r.o.Beat)
	defer tick.Stop()
	changed, cancel := r.o.Site.Subscribe()
	defer cancel()
	var seen []observation
	for {
		r.writeObservations(ctx, seen)
		seen = nil
		r.visitDue(ctx, &wg, slots, results)
		select {
		case <-ctx.Done():
			return nil
		case seen = <-results:
		case <-changed:
			r.clearRefusals()
		case <-tick.C:
			seen = r.observe()
		}
	}
}

// observation is one finding about one possible fault.
type observation struct {
	key
	finding footage.Finding
	offset  time.Duration // of the camera's clock
	at      clock.Reading
}

// observe asks the other packages. A camera of which nobody speaks any more is not watched.
func (r *Monitor) observe() []observation {
	now := r.o.Clock.Now()
	var out []observation
	for _, watch := range r.o.Watch {
		for _, s := range watch() {
			out = append(out, observation{key: key{s.Camera, s.Code}, finding: s.Finding, at: now})
		}
	}
	return out
}

// writeObservations takes observations and writes what follows from them as one change. When that cannot be written nothing has
// happened: the next observations say the same again.
func (r *Monitor) writeObservations(ctx context.Context, seen []observation) {
	if err := r.applyObservations(ctx, seen); err != nil && ctx.Err() == nil {
		r.o.Log.Error("faults of cameras not entered", "err", err)
	}
}

func (r *Monitor) applyObservations(ctx context.Context, seen []observation) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	now := r.o.Clock.Now()
	steps, ch, rows := map[key]footage.FaultWatch{}, ledgerdb.Change{}, []row(nil)
	r.mu.Lock()
	for _, o := range seen {
		cam, known := r.o.Site.Camera(o.camera)
		if !known || cam.Retired {
			continue
		}
		w, again := steps[o.key]
		if !again {
			w = r.watches[o.key]
		}
		w, step := w.Step(o.code, o.finding, o.at.Mono)
		steps[o.key] = w
		switch step {
		case footage.FaultOpens:
			rows = append(rows, row{Fault: r.opened(cam, o, now)})
		case footage.FaultCloses:
			if f, ok := r.open[o.key]; ok {
				rows = append(rows, row{f.closedBy(now, ReasonWell), f.rev})
			}
		}
	}
	for k, f := range r.open {
		if _, done := steps[k]; done {
			continue
		}
		if reason := r.closeUnwatched(k); reason != "" {
			rows, steps[k] = append(rows, row{f.closedBy(now, reason), f.rev}), footage.FaultWatch{}
		}
	}
	r.mu.Unlock()
	for _, f := range rows {
		ch.Puts = append(ch.Puts, faults.PutRev(f.ID, f.Fault, f.rev))
		ch.Entries = append(ch.Entries, f.entry())
	}
	var revs []uint64
	if len(rows) > 0 {
		rc, err := r.o.Store.Commit(ctx, ch)
		if err != nil {
			return fmt.Errorf("enter %d faults: %w", len(rows), err)
		}
		revs = rc.Revs
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.Copy(r.watches, steps)
	for i, f := range rows {
		if f.Closed.IsZero() {
			r.open[key{f.Camera, f.Code}] = row{f.Fault, revs[i]}
			r.o.Log.Warn("fault opened", "camera", f.Camera, "code", f.Code)
		} else {
			delete(r.open, key{f.Camera, f.Code})
			r.o.Log.Info("fault closed", "camera", f.Camera, "code", f.Code, "reason", f.Reason)
		}
	}
	return nil
}

func (r *Monitor) opened(cam footage.Camera, o observation, now clock.Reading) Fault {
	f := Fault{ID: cam.ID + "-" + string(o.code) + "-" + strings.ToLower(rand.Text()[:10]), Camera: cam.ID, Code: o.code,
		Technician: cam.Technician, Opened: now.Wall.UTC().Truncate(time.Second)}
	if o.code == footage.FaultTime {
		f.OffsetMS = o.offset.Milliseconds()
	}
	return f
}

func (f Fault) closedBy(now clock.Reading, reason string) Fault {
	f.Closed, f.Reason = now.Wall.UTC().Truncate(time.Second), reason
	return f
}

// Informed lists who knows of the fault: the technician it opened for, and who acknowledged it.
func (f Fault) Informed() []string {
	shown := []string{}
	if f.Technician != "" {
		shown = append(shown, f.Technician)
	}
	for _, a := range f.Acks {
		if !slices.Contains(shown, a.By) {
			shown = append(shown, a.By)
		}
	}
	return shown
}

func (f Fault) entry() ledger.Draft {
	data := map[string]any{"fault": f.ID, "code": f.Code, "camera": f.Camera}
	if f.Closed.IsZero() {
		if f.Technician != "" {
			data["technician"] = f.Technician
		}
		if f.OffsetMS != 0 {
			data["offset_ms"] = f.OffsetMS
		}
		return ledger.Draft{Actor: ledger.System, Via: ledger.ViaSystem, Kind: "fault.opened", Subject: f.Camera, Data: data}
	}
	data["reason"], data["told"], data["lasted_s"] = f.Reason, f.Informed(), max(0, int64(f.Closed.Sub(f.Opened)/time.Second))
	return ledger.Draft{Actor: ledger.System, Via: ledger.ViaSystem, Kind: "fault.closed", Subject: f.Camera, Data: data}
}

// closeUnwatched says why an open fault will never be judged again; empty when it will. The caller holds mu.
func (r *Monitor) closeUnwatched(k key) string {
	cam, known := r.o.Site.Camera(k.camera)
	switch {
	case !known || cam.Retired:
		return ReasonRetired
	case (k.code == footage.FaultBlack || k.code == footage.FaultFrozen) && cam.Still == "":
		return ReasonUnwatched
	case k.code == footage.FaultTime && cam.Still == "" && cam.Custody != footage.CustodyNVR,
		(k.code == footage.FaultFloor || k.code == footage.FaultCeiling) && cam.Custody != footage.CustodyNVR,
		k.code == footage.FaultOffline && cam.Custody == footage.CustodyFolder,
		(k.code == footage.FaultLogin || k.code == footage.FaultUnusable) && cam.Custody != footage.CustodyVault:
		return ReasonUnwatched
	}
	return ""
}
