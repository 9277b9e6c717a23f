package usage

import (
	"context"
	"slices"
	"testing"
	"time"

	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	rules "campuskeep/shared/usage"
)

// beside is NVRs as evidence sees them: it writes down what it is asked for and answers what a test says.
type beside struct {
	asked []string // "camera ground", with "!" when asked again
	f     Fetching
	ok    bool
}

func (b *beside) Fetch(_ context.Context, _ account.Who, camera string, _ footage.Span, ground string, again bool) error {
	s := camera + " " + ground
	if again {
		s += " !"
	}
	b.asked = append(b.asked, s)
	return nil
}

func (b *beside) Fetching(string, footage.Span) (Fetching, bool, error) { return b.f, b.ok, nil }

// onlyThere is a source whose footage lies on an NVR until it is fetched.
type onlyThere struct {
	minutes
	fetched bool
}

func (o *onlyThere) Segments(ctx context.Context, camera string, span footage.Span) ([]footage.Placed, error) {
	list, err := o.minutes.Segments(ctx, camera, span)
	for i := range list {
		if !o.fetched {
			list[i].Custody = footage.CustodyNVR
		}
	}
	return list, err
}

// Covers F4, F10: what is held, approved or opened on an NVR's camera is asked for, on that ground and no other.
func TestWhatLiesOnAnNVRIsAskedFor(t *testing.T) {
	h := newEnv(t)
	for i := range h.cameras {
		if h.cameras[i].Place == "东大门外" {
			h.cameras[i].Custody = footage.CustodyNVR
		}
	}
	there, nvrs := &onlyThere{minutes: minutes{1000}}, &beside{}
	h.office.o.Footage, h.office.o.Fetcher = there, nvrs
	a, err := h.office.Submit(t.Context(), teacher, form())
	must(t, err)
	select {
	case <-h.office.holdUse: // Run is notified at once
	default:
		t.Error("nobody is told that something is held")
	}
	must(t, h.office.fetchForHolds(t.Context()))
	cam := a.Wanted[0].Cameras[0]
	if !slices.Contains(nvrs.asked, cam+" "+a.ID) {
		t.Errorf("asked for %v", nvrs.asked)
	}
	nvrs.asked = nil
	_, err = h.office.Decide(t.Context(), officer, a.ID, rules.Decision{Approved: true})
	must(t, err)
	v, err := h.office.OpenViewing(t.Context(), teacher, cam, footage.Span{From: a.Wanted[0].Span.From, To: a.Wanted[0].Span.From.Add(10 * time.Minute)}, Playback, "")
	must(t, err)
	if !slices.Equal(nvrs.asked, []string{cam + " " + a.ID + " !"}) {
		t.Errorf("the viewing asked for %v", nvrs.asked)
	}
	nvrs.asked = nil
	d, err := h.office.OpenViewing(t.Context(), officer, cam, lastHour, Playback, "围墙翻越")
	must(t, err)
	if !slices.Equal(nvrs.asked, []string{cam + " " + d.Incident + " !"}) {
		t.Errorf("the officer's viewing asked for %v", nvrs.asked)
	}
	for name, c := range map[string]struct {
		f            Fetching
		known, vault bool
		waits        bool
		state        string
	}{
		"nobody was asked":        {Fetching{}, false, false, true, "failed"},
		"it is on its way":        {Fetching{State: "running", Percent: 40}, true, false, true, "running"},
		"it failed":               {Fetching{State: "failed", Reason: "gone"}, true, false, true, "failed"},
		"it is here":              {Fetching{State: "done"}, true, true, false, ""},
		"a part is here for good": {Fetching{State: "partial"}, true, true, false, ""},
		"a part is here":          {Fetching{State: "running"}, true, true, true, "running"},
	} {
		nvrs.f, nvrs.ok, there.fetched = c.f, c.known, c.vault
		got, waits, err := h.office.Awaited(t.Context(), v)
		must(t, err)
		if waits != c.waits || waits && got.State != c.state {
			t.Errorf("%s: %+v, waits %t", name, got, waits)
		}
	}
	for _, x := range []Viewing{v, d} {
		must(t, h.office.CloseViewing(t.Context(), x.ID, nil, 0, "closed"))
	}
}
