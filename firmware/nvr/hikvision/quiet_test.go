package hikvision

import (
	"testing"
	"testing/synctest"
	"time"
)

// A playback has ended when nothing comes from look to look, six times. A program that did not run for long looks once,
// and takes what came meanwhile first.
func TestOnlySilenceThatIsLookedAtEndsAPlayback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &playback{came: make(chan struct{}, 1), end: make(chan struct{})}
		look, over := make(chan time.Time), make(chan struct{})
		go func() {
			defer close(over)
			p.watch(t.Context(), nil, look)
		}()
		running := func(what string) {
			t.Helper()
			synctest.Wait()
			select {
			case <-over:
				t.Fatalf("ended: %s", what)
			default:
			}
		}

		time.Sleep(10 * quietTime) // no look: the program does not run
		running("nobody looked")
		for range quietLooks - 1 {
			look <- time.Now()
		}
		running("looked too seldom")
		p.came <- struct{}{}
		synctest.Wait()
		for range quietLooks - 1 {
			look <- time.Now()
		}
		running("something came between")
		look <- time.Now()
		<-over
	})
}
