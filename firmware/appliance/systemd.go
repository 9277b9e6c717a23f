package appliance

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"campuskeep/firmware/ledgerdb"
)

// checkAlive asks the recorder, and the ledger for a reading.
func (a *Appliance) checkAlive() error {
	a.recorder.Status()
	if err := a.Store.View(func(ledgerdb.Tx) error { return nil }); err != nil {
		return fmt.Errorf("the ledger cannot be read: %w", err)
	}
	return nil
}

// notifySystemd reports that the box is up, and then at half the time that the unit's watchdog allows that it is alive:
// that the ledger can be read and the recorder answers. Without systemd it does nothing. The returned function says
// that the box stops.
func (a *Appliance) notifySystemd(ctx context.Context) (stop func()) {
	report := func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			a.log.Warn("systemd cannot be notified", "state", state, "err", err)
		}
	}
	report(daemon.SdNotifyReady)
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
				if err := a.checkAlive(); err != nil {
					a.log.Error("the box is not well", "err", err)
					continue
				}
				report(daemon.SdNotifyWatchdog)
			}
		})
	}
	stopping := context.AfterFunc(ctx, func() { report(daemon.SdNotifyStopping) })
	return func() {
		stopping()
		end()
		done.Wait()
	}
}
