package retention

import (
	"context"
	"fmt"
	"slices"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
)

// holdEntries are those of the holds that overlap a span of one of the cameras, with their ends.
func (p *Certificates) holdEntries(ctx context.Context, cameras []string, span footage.Span) ([]ledger.Entry, error) {
	registered, err := p.find(ctx, ledgerdb.Query{Kinds: []ledger.Kind{"hold.registered"}, About: cameras, From: span.From})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range registered {
		if spanOf(e).Overlaps(span) && !slices.Contains(ids, e.Subject) {
			ids = append(ids, e.Subject)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	// By its name, so that what is found of a hold does not depend on the cameras asked for.
	return p.find(ctx, ledgerdb.Query{Kinds: []ledger.Kind{"hold.registered", "hold.released", "hold.ended"}, About: ids, From: span.From})
}

// gatherExcuses finds what stops deletion in a time: a clock that is not trusted, no power, a disk that refuses.
func (p *Certificates) gatherExcuses(ctx context.Context, g gathered, camera string, span footage.Span) error {
	if _, err := p.gatherStates(ctx, g, span); err != nil {
		return err
	}
	failed, err := p.entriesOf(ctx, camera, span.From, span.To.Add(time.Second), "footage.unlinkfailed")
	g.add(failed)
	return err
}

// gatherStates finds what clock and power were like in a time. loose are entries of before it that came along.
func (p *Certificates) gatherStates(ctx context.Context, g gathered, span footage.Span) (loose []ledger.Entry, err error) {
	states, err := p.find(ctx, ledgerdb.Query{Kinds: []ledger.Kind{"clock.state", "system.start", "system.stop"}, From: span.From, To: span.To.Add(time.Second)})
	if err != nil {
		return nil, err
	}
	before, err := p.o.Store.Search(ctx, ledgerdb.Query{Kinds: []ledger.Kind{"clock.state", "system.start"}, To: span.From, Limit: 1})
	if err != nil {
		return nil, fmt.Errorf("read the log about the clock: %w", err)
	}
	g.add(states)
	g.add(before.Entries)
	signs, err := p.gatherSigns(ctx, g, states)
	return append(before.Entries, signs...), err
}

// gatherSigns finds the last sign of life before each start. It is an entry about footage, so that a certificate
// carries nothing else.
func (p *Certificates) gatherSigns(ctx context.Context, g gathered, states []ledger.Entry) (signs []ledger.Entry, err error) {
	for _, start := range states {
		if start.Kind != "system.start" || start.Seq == 0 {
			continue
		}
		page, err := p.o.Store.Search(ctx, ledgerdb.Query{Kinds: packet.RecordKinds, Before: start.Seq, Limit: 64})
		if err != nil {
			return nil, fmt.Errorf("read the log about the time without power: %w", err)
		}
		for _, e := range page.Entries {
			if packet.LastSign(e, start) {
				g[e.Seq] = e
				signs = append(signs, e)
				break
			}
		}
	}
	return signs, nil
}
