package appliance

import (
	"context"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"campuskeep/firmware/store"
)

// tellSystemd says that the box is up, and then at half the time that the unit's watchdog allows that it is alive: that
// the ledger can be read and the recorder answers. Without systemd it does nothing. The returned function says that the
// box stops.
func (a *Appliance) tellSystemd(ctx context.Context) (stop func()) {
	tell := func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			a.log.Warn("systemd cannot be told", "state", state, "err", err)
		}
	}
	tell(daemon.SdNotifyReady)
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		a.log.Warn("the watchdog's interval", "err", err)
	}
	alive, end := context.WithCancel(context.WithoutCancel(ctx)) // also while it stops
	var done sync.WaitGroup
	if every > 0 {
		done.Go(func() {
			tick := time.NewTicker(every / 2)
			defer tick.Stop()
			for {
				select {
				case <-alive.Done():
					return
				case <-tick.C:
				}
				a.recorder.Status()
				if err := a.Store.View(func(store.Tx) error { return nil }); err != nil {
					a.log.Error("the ledger cannot be read", "err", err)
					continue
				}
				tell(daemon.SdNotifyWatchdog)
			}
		})
	}
	stopping := context.AfterFunc(ctx, func() { tell(daemon.SdNotifyStopping) })
	return func() {
		stopping()
		end()
		done.Wait()
	}
}
