package protocol

import (
	"fmt"

	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
)

// payload stores released parts under the same cursor rule as leaves: a part is believed when it opens the
// commitment in its leaf, and kept when the table of kinds releases it.
func (v *handling) payload(m wire.PayloadMsg) (*reply, error) {
	if m.Epoch != v.latest {
		return v.state(true)
	}
	at := v.cursor.Parts
	switch {
	case m.Profile < at.Profile:
		return v.state(false)
	case m.Profile > at.Profile:
		if m.From != 0 {
			v.cursor.Parts = wire.PartCursor{Profile: m.Profile}
			return v.state(true) // asks to begin again; nothing is changed yet
		}
		if at.Profile != 0 {
			if err := v.tx.WithdrawParts(); err != nil {
				return nil, err
			}
		}
		at = wire.PartCursor{Profile: m.Profile}
	}
	if m.To <= at.Through {
		return v.state(false)
	}
	if m.From > at.Through || m.To > v.cursor.Stored() {
		return v.state(true)
	}
	ch, err := openChain(v.tx, v.cursor)
	if err != nil {
		return nil, err
	}
	for _, it := range m.Items {
		if it.Seq < at.Through {
			continue
		}
		if err := v.item(ch, it); err != nil {
			return nil, err
		}
	}
	at.Through = m.To
	v.cursor.Parts = at
	if err := v.tx.PutCursor(v.cursor, v.now); err != nil {
		return nil, err
	}
	return v.state(false)
}

func (v *handling) item(ch chain, it wire.Item) error {
	if it.Op == wire.Erase {
		return v.tx.ErasePartsOf(it.Owner)
	}
	l, ok, err := ch.leaf(it.Seq)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("leaf %d is missing", it.Seq)
	}
	if !releases(l, it) {
		return v.tx.Alarm(Alarm{Kind: AlarmPayload, Epoch: v.latest, Detail: fmt.Sprintf("seq=%d part=%s", it.Seq, it.Name)}, v.now)
	}
	return v.tx.PutPart(PartRow{Epoch: ch.owner(it.Seq), Seq: it.Seq, Name: it.Name, Owner: it.Owner, Salt: it.Salt, Plain: it.Plain, Erased: it.Op == wire.Erased})
}

// releases says whether a leaf commits to this part and its kind releases it.
func releases(l Leaf, it wire.Item) bool {
	if l.Bytes == nil {
		return false
	}
	e, err := ledger.ParseEntry(l.Bytes)
	if err != nil || !ledger.Released(e.Kind, it.Name) {
		return false
	}
	for _, c := range e.Sealed {
		if c.Name == it.Name && c.Owner == it.Owner {
			return it.Op == wire.Erased || c.Opens(it.Salt, it.Plain)
		}
	}
	return false
}
