package viewing

import (
	"testing"
	"testing/synctest"
	"time"
)

// Loading the page of a viewing again within five seconds is not its end; staying away longer is, once. Covers F10.
func TestAViewingWaitsForItsPage(t *testing.T) {
	for name, x := range map[string]struct {
		back  time.Duration // 0: never
		ended int
	}{
		"loaded again at once": {time.Millisecond, 0},
		"after 4.9 s":          {4900 * time.Millisecond, 0},
		"after 5.1 s":          {5100 * time.Millisecond, 1},
		"never":                {0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var v departures
				ended := 0
				v.scheduleEnd("v1", func() { ended++ })
				v.scheduleEnd("v1", func() { ended++ }) // the browser tells it twice
				if x.back > 0 {
					time.Sleep(x.back)
					synctest.Wait()
					v.cancelEnd("v1")
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if ended != x.ended {
					t.Errorf("ended %d times, want %d", ended, x.ended)
				}
				if len(v.left) > 0 {
					t.Errorf("%d departures are kept for ever", len(v.left))
				}
				v.scheduleEnd("v1", func() { ended++ }) // a later departure counts again
				time.Sleep(time.Minute)
				synctest.Wait()
				if ended != x.ended+1 {
					t.Errorf("after a later departure: ended %d times", ended)
				}
			})
		})
	}
}

// A browser tells the departure of the old page after the new one was made: a viewing that a page shows goes on, and ends
// when that page goes too. Covers F10.
func TestADepartureToldLateEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v departures
		ended := 0
		old := v.shown("v1")
		v.cancelEnd("v1") // the new page is made
		v.scheduleEnd("v1", func() { ended++ })
		old()
		gone := v.shown("v1")
		time.Sleep(time.Minute)
		synctest.Wait()
		if ended != 0 {
			t.Fatal("the viewing ended although its page was loaded again")
		}
		gone()
		v.scheduleEnd("v1", func() { ended++ })
		time.Sleep(time.Minute)
		synctest.Wait()
		if ended != 1 || len(v.pages) > 0 {
			t.Errorf("after the last page: ended %d times, %d pages kept", ended, len(v.pages))
		}
	})
}
