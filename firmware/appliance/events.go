package appliance

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/reader"
	"campuskeep/firmware/recorder"
	"campuskeep/firmware/vault"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// eventQueue carries what the devices report into the log. Devices must not wait and nothing may be missed, so
// reports queue here in order. The same alarm again within a minute is counted instead of written, so that a
// failing disk cannot bury the log.
type eventQueue struct {
	queue     chan report
	mu        sync.Mutex
	lastAlarm map[alarmKey]*repeated // guarded by mu
}

// report is one event to write; it gets the appliance when it is written.
type report func(context.Context, *Appliance) error

// alarmKey is what one alarm is about. Damage is about a file, and each has its entry.
type alarmKey struct {
	code, camera string
	file         footage.FileID
}

type repeated struct {
	last  time.Time // written; the process's monotonic clock
	count int64     // since then
}

const (
	sameAlarm      = time.Minute
	eventQueueSize = 1024
)

func newEventQueue() eventQueue {
	return eventQueue{queue: make(chan report, eventQueueSize), lastAlarm: map[alarmKey]*repeated{}}
}

func (n *eventQueue) gap(g recorder.Gap) {
	n.queue <- func(ctx context.Context, a *Appliance) error { // the recorder's own queue waits, not its cameras
		return a.gaps.Note(ctx, g)
	}
}

// settleEvery is how soon a gap is entered once both of its ends have their place in UTC.
const settleEvery = 5 * time.Second

func (n *eventQueue) reader(s reader.Status) {
	write := func(ctx context.Context, a *Appliance) error { return a.Gate.ReaderState(ctx, s) }
	select {
	case n.queue <- write:
	default: // thousands of changes in one commit: the next state tells the truth again
	}
}

func (n *eventQueue) vault(x vault.Alarm) {
	key := alarmKey{code: x.Code, camera: x.Camera}
	if x.Code == "damaged" {
		key.file = x.Segment.File
	}
	n.mu.Lock()
	if len(n.lastAlarm) >= eventQueueSize { // files that rotted by the thousand
		maps.DeleteFunc(n.lastAlarm, func(k alarmKey, r *repeated) bool {
			return time.Since(r.last) >= sameAlarm && (r.count == 0 || k.code == "damaged")
		})
	}
	r := n.lastAlarm[key]
	if r != nil && time.Since(r.last) < sameAlarm {
		r.count++
		n.mu.Unlock()
		return
	}
	count := int64(1)
	if r != nil {
		count += r.count
	}
	n.lastAlarm[key] = &repeated{last: time.Now()}
	n.mu.Unlock()
	write := func(ctx context.Context, a *Appliance) error {
		if x.Code == "damaged" {
			return a.enter(ctx, "footage.damaged", x.Camera, map[string]any{"file": x.Segment.File.String(), "reason": "record"})
		}
		data := map[string]any{"code": "vault." + x.Code, "count": count}
		if x.Camera != "" {
			data["camera"] = x.Camera
		}
		return a.enter(ctx, "system.fault", x.Camera, data)
	}
	select {
	case n.queue <- write:
	default: // the log itself does not keep up: the vault has logged the alarm, and its next one comes
	}
}

// ledger enters that a part of the ledger's file is damaged, if that part is not needed for it.
func (n *eventQueue) ledger(part string) {
	n.fault("store.damaged", strings.ReplaceAll(part, " ", "."))
}

// fault enters a fault of a part of the box.
func (n *eventQueue) fault(code, part string) {
	write := func(ctx context.Context, a *Appliance) error {
		err := a.enter(ctx, "system.fault", "", map[string]any{"code": code, "part": part})
		if errors.Is(err, ledgerdb.ErrDamaged) {
			a.log.Error("a fault cannot be entered in the log", "code", code, "part", part, "err", err)
			return nil // it never will be; reports behind it must not wait
		}
		return err
	}
	select {
	case n.queue <- write:
	default: // the log does not keep up: the service's log has it
	}
}

// run writes what is reported until ctx ends, then what is still queued.
func (n *eventQueue) run(ctx context.Context, a *Appliance) error {
	settle := time.NewTicker(settleEvery)
	defer settle.Stop()
	for {
		select {
		case r := <-n.queue:
			n.write(ctx, a, r)
		case <-settle.C:
			if err := a.gaps.Settle(ctx); err != nil && ctx.Err() == nil {
				a.log.Error("what cameras missed is not in the log yet", "err", err)
			}
		case <-ctx.Done():
			rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			for {
				select {
				case r := <-n.queue:
					n.write(rest, a, r)
				default:
					if err := a.gaps.Settle(rest); err != nil {
						a.log.Error("what cameras missed is not in the log yet", "err", err) // it waits for the next run
					}
					return nil
				}
			}
		}
	}
}

// write tries until it is written: a full disk is mended by people, and the report must not be lost meanwhile.
func (n *eventQueue) write(ctx context.Context, a *Appliance, r report) {
	pause := 250 * time.Millisecond
	for {
		err := r(context.WithoutCancel(ctx), a)
		if err == nil {
			return
		}
		a.log.Error("a report is not in the log yet", "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			pause = min(2*pause, 10*time.Second)
		}
	}
}

// enter commits one entry of what the appliance does or notices by itself.
func (a *Appliance) enter(ctx context.Context, kind ledger.Kind, subject string, data any) error {
	_, err := a.Store.Commit(ctx, ledgerdb.Change{Entries: []ledger.Draft{{Actor: ledger.System, Via: ledger.ViaSystem, Kind: kind, Subject: subject, Data: data}}})
	return err
}
