// Package ingest takes the appliances' messages into the centre's database and answers them.
//
// It owns no table and no rule: shared/wire/protocol decides, cloud/centredb keeps. It must never answer before the
// database has committed; by any broker, PUBACK means nothing more than a free slot.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"campuskeep/cloud/centredb"
	"campuskeep/shared/clock"
	"campuskeep/shared/wire"
	"campuskeep/shared/wire/protocol"
)

// Ingest is safe for concurrent use.
type Ingest struct {
	store  centredb.Store
	centre protocol.Centre
	clock  clock.Clock
	log    *slog.Logger

	seen sync.Map // appliance → time.Time of the last contact that was written down

	messages, failures atomic.Uint64
}

// New makes it; it starts nothing.
func New(s centredb.Store, sign protocol.Signer, c clock.Clock, log *slog.Logger) *Ingest {
	return &Ingest{store: s, centre: protocol.Centre{DB: s, Sign: sign}, clock: c, log: log}
}

// seenEvery bounds how often a contact is written down.
const seenEvery = 30 * time.Second

// ErrUnknown: the appliance is not in the registry, or denied.
var ErrUnknown = errors.New("ingest: not an appliance of this centre")

// Receive deals with one message and gives what to publish on the appliance's ack channel, nil for nothing. An
// error means: not stored, it should come again.
func (g *Ingest) Receive(ctx context.Context, appliance string, c wire.Channel, body []byte) ([]byte, error) {
	now := g.clock.Now().Wall
	g.messages.Add(1)
	ack, err := g.centre.Receive(ctx, appliance, c, body, now)
	if err != nil {
		g.failures.Add(1)
		if errors.Is(err, centredb.ErrNotFound) {
			err = errors.Join(ErrUnknown, err)
		}
		return nil, fmt.Errorf("message of %s on %s: %w", appliance, c, err)
	}
	if last, ok := g.seen.Load(appliance); !ok || now.Sub(last.(time.Time)).Abs() >= seenEvery {
		if err := g.Online(ctx, appliance, true); err != nil {
			return nil, err
		}
	}
	return ack, nil
}

// Online notes that an appliance has connected or gone.
func (g *Ingest) Online(ctx context.Context, appliance string, online bool) error {
	now := g.clock.Now().Wall
	g.seen.Store(appliance, now)
	if err := g.store.Seen(ctx, appliance, now, online); err != nil {
		return fmt.Errorf("note contact of %s: %w", appliance, err)
	}
	return nil
}

// Counts are the numbers of messages dealt with and failed since the start.
func (g *Ingest) Counts() (messages, failures uint64) { return g.messages.Load(), g.failures.Load() }
