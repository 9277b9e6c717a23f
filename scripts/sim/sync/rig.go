// Package sync is an appliance reduced to its ledger, key rings and uplink, and a whole centre, for tests and
// benchmarks of the way between them.
//
// It owns the directories that it is given. It must never be linked into the product.
package sync

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"campuskeep/cloud/centre"
	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/uplink"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
)

// Clock is the machine's own, called trusted.
type Clock struct{}

// Now reads it.
func (Clock) Now() clock.Reading {
	var ts unix.Timespec
	r := clock.Reading{Wall: time.Now().UTC(), State: clock.Trusted, Boot: "rig", Uncertainty: time.Millisecond}
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) == nil {
		r.Mono = time.Duration(ts.Nano())
	}
	return r
}

// Centre is a running centre.
type Centre struct {
	*centre.Centre
	Addresses centre.Addresses
	stop      context.CancelFunc
	done      chan error
}

// Config is a centre's configuration on loopback in dir.
func Config(dir string) centre.Config {
	c := centre.Default()
	c.Centre.Name, c.Centre.Office, c.Centre.Data, c.Centre.Names = "test", "测试中心", dir, []string{"127.0.0.1"}
	c.Console.Listen, c.Enrol.Listen, c.Broker.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	return c
}

// StartCentre opens a centre and runs it until Stop.
func StartCentre(cfg centre.Config, d centre.Deps) (*Centre, error) {
	ctx, stop := context.WithCancel(context.Background())
	c, err := centre.Open(ctx, cfg, d)
	if err != nil {
		stop()
		return nil, err
	}
	out := &Centre{Centre: c, stop: stop, done: make(chan error, 1)}
	if out.Addresses, err = c.Listen(); err != nil {
		stop()
		return nil, errors.Join(err, c.Close())
	}
	go func() { out.done <- c.Run(ctx) }()
	return out, nil
}

// Stop ends it cleanly.
func (c *Centre) Stop() error {
	c.stop()
	return errors.Join(<-c.done, c.Close())
}

// Box is a running appliance without cameras and readers.
type Box struct {
	ID     string
	Dir    string
	Store  *ledgerdb.Store
	Uplink *uplink.Uplink
	Times  chan clock.Observation
	disk   disk.FS
	people *keyring.Ring
	stop   context.CancelFunc
	done   chan error
}

// StartBox opens the box in dir and runs it until Stop.
func StartBox(dir, id string, enrolAt, ca string, log *slog.Logger) (b *Box, err error) {
	b = &Box{ID: id, Dir: dir, Times: make(chan clock.Observation, 16), done: make(chan error, 2)}
	if b.disk, err = disk.Real(dir); err != nil {
		return nil, err
	}
	root, err := keyring.OpenRoot(b.disk)
	if err != nil {
		return nil, err
	}
	if b.people, err = root.Ring("people"); err != nil {
		return nil, err
	}
	seed, err := seedOf(filepath.Join(dir, "log.seed"), id)
	if err != nil {
		return nil, err
	}
	b.Store, err = ledgerdb.Open(ledgerdb.Options{Dir: dir, Origin: "campuskeep/" + id, Clock: Clock{}, People: b.people, Signer: ed25519.NewKeyFromSeed(seed), Log: log})
	if err != nil {
		return nil, err
	}
	b.Uplink, err = uplink.New(uplink.Options{ID: id, Enrol: enrolAt, CA: ca, Disk: b.disk, Store: b.Store, Clock: Clock{}, Release: "test", Log: log,
		OnTime: func(o clock.Observation) {
			select {
			case b.Times <- o:
			default:
			}
		}})
	if err != nil {
		return nil, errors.Join(err, b.Store.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	go func() { b.done <- b.Store.Run(ctx) }()
	return b, nil
}

// Connect starts the uplink; before it only enrolment works.
func (b *Box) Connect() (disconnect func() error) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Uplink.Run(ctx) }()
	return func() error {
		stop()
		return <-done
	}
}

// Stop ends the box cleanly; disconnect first.
func (b *Box) Stop() error {
	b.stop()
	return errors.Join(<-b.done, b.Store.Close())
}

func seedOf(path, id string) ([]byte, error) {
	seed, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		seed = make([]byte, ed25519.SeedSize)
		copy(seed, id)
		return seed, os.WriteFile(path, seed, 0o600)
	}
	return seed, err
}

// Tap commits n card taps, one entry each.
func (b *Box) Tap(ctx context.Context, n int) error {
	for i := range n {
		c := ledgerdb.Change{Entries: []ledger.Draft{TapDraft(i)}}
		if _, err := b.Store.Commit(ctx, c); err != nil {
			return fmt.Errorf("tap %d: %w", i, err)
		}
	}
	return nil
}

// TapDraft is the entry of a card tap.
func TapDraft(i int) ledger.Draft {
	student, reader := fmt.Sprintf("s%04d", i%500+1), fmt.Sprintf("r%03d", i/10000) // no reader has more taps in an hour than may be
	return ledger.Draft{Actor: ledger.Actor{ID: reader}, From: &ledger.From{Device: reader}, Via: ledger.ViaGate, Kind: "attendance.tap", Subject: student,
		Data: map[string]any{"reader": reader, "card": make([]byte, 32), "student": student, "class": "2024-03", "direction": "in", "outcome": "present",
			"reasons": []string{"tap"}, "date": time.Now().UTC().Format(time.DateOnly)}}
}

// People is the ring of the box's subjects.
func (b *Box) People() *keyring.Ring { return b.people }
