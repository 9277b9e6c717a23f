package protocol

import (
	"fmt"

	"campuskeep/shared/ledger"
	"campuskeep/shared/wire"
)

// hello answers the positions of both logs, notices what either side has lost, and grants epochs.
func (v *handling) hello(m wire.HelloMsg) (*reply, error) {
	cp, err := openCheckpoint(m.Checkpoint, v.key, m.Epoch)
	if err != nil || cp.Size != m.Size {
		return nil, v.refuse(AlarmSignature, Alarm{Epoch: m.Epoch, Ours: v.cursor.Checkpoint, Theirs: m.Checkpoint})
	}
	if err := v.noticeLoss(m); err != nil {
		return nil, err
	}
	if v.latest == 0 {
		v.latest, v.cursor = m.Epoch, Cursor{Epoch: m.Epoch}
		if err := v.tx.PutCursor(v.cursor, v.now); err != nil {
			return nil, err
		}
	}
	base, err := v.base(m)
	if err != nil {
		return nil, err
	}
	r := &reply{key: v.key, inc: v.inc, latest: v.latest, cursor: base, nonce: &m.Nonce}
	if err := v.compare(base, append(m.Probes, wire.Probe{Size: cp.Size, Root: cp.Root}), r); err != nil {
		return nil, err
	}
	if m.Branch != nil {
		if err := v.branch(m, base, r); err != nil {
			return nil, err
		}
	}
	if m.Epoch == v.latest && v.cursor.Claimed != m.Size {
		v.cursor.Claimed = m.Size
		if err := v.tx.PutCursor(v.cursor, v.now); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// noticeLoss begins a new incarnation when the appliance shows our own cosignature, given in this incarnation,
// under leaves that we do not have: our database was replaced by an older copy without anyone saying so.
func (v *handling) noticeLoss(m wire.HelloMsg) error {
	if m.Incarnation != v.inc.ID || len(m.Witnessed) == 0 {
		return nil
	}
	cosigner := v.centre.Sign.Cosigner()
	cp, n, err := ledger.OpenCheckpoint(m.Witnessed, v.key, cosigner)
	if err != nil {
		return nil // shows nothing
	}
	at, ok := ledger.CosignatureTime(n, cosigner)
	if !ok || at.Before(v.inc.Since.Truncate(1e9)) {
		return nil
	}
	_, epoch, err := ledger.SplitOrigin(cp.Origin)
	if err != nil {
		return nil
	}
	c, ok, err := v.tx.Cursor(epoch)
	if err != nil {
		return err
	}
	if ok {
		have, err := v.contains(c, cp.Size, cp.Root)
		if err != nil || have {
			return err
		}
	}
	if err := v.tx.Alarm(Alarm{Kind: AlarmRestored, Epoch: epoch, Ours: c.Checkpoint, Theirs: m.Witnessed, Detail: fmt.Sprintf("stored=%d acknowledged=%d", c.Stored(), cp.Size)}, v.now); err != nil {
		return err
	}
	v.inc, err = v.tx.Renew(v.now)
	return err
}

// base is the epoch whose leaves are compared with the appliance's: its own if we know it, else our newest.
func (v *handling) base(m wire.HelloMsg) (Cursor, error) {
	if m.Epoch == v.latest {
		return v.cursor, nil
	}
	c, ok, err := v.tx.Cursor(m.Epoch)
	if err != nil || ok {
		return c, err
	}
	return v.cursor, v.tx.Alarm(Alarm{Kind: AlarmEpoch, Epoch: m.Epoch, Ours: v.cursor.Checkpoint, Theirs: m.Checkpoint, Detail: fmt.Sprintf("latest=%d", v.latest)}, v.now)
}

// compare finds between which probes the two logs part.
func (v *handling) compare(base Cursor, probes []wire.Probe, r *reply) error {
	for _, p := range probes {
		if p.Size > base.Stored() {
			continue
		}
		same, err := v.contains(base, p.Size, p.Root)
		if err != nil {
			return err
		}
		if same {
			r.agree = max(r.agree, p.Size)
		} else if r.differ == 0 || p.Size < r.differ {
			r.differ = p.Size
		}
	}
	return nil
}

// branch grants the next epoch. The request must name what is newest now, or be the repetition of the one that
// made it: a request that was long under way grants nothing.
func (v *handling) branch(m wire.HelloMsg, base Cursor, r *reply) error {
	b := *m.Branch
	if v.cursor.Grant == b.ID && v.cursor.Base != 0 {
		r.cursor, r.granted = v.cursor, &b.ID
		return nil
	}
	if b.Latest != v.latest || b.Base != base.Epoch {
		return nil
	}
	same, err := v.contains(base, b.Fork, b.Root)
	if err != nil || !same {
		return err
	}
	if m.Epoch > v.latest+maxEpochJump {
		return v.refuse(AlarmEpoch, Alarm{Epoch: m.Epoch, Theirs: m.Checkpoint})
	}
	ch, err := openChain(v.tx, base)
	if err != nil {
		return err
	}
	tree, err := ch.tree(b.Fork)
	if err != nil {
		return err
	}
	if err := v.alarmBranch(m, base); err != nil {
		return err
	}
	v.latest = max(v.latest, m.Epoch) + 1
	v.cursor = Cursor{
		Epoch: v.latest, Base: base.Epoch, Fork: b.Fork, Grant: b.ID, Tree: tree, Claimed: m.Size,
		Parts: wire.PartCursor{Profile: base.Parts.Profile, Through: min(base.Parts.Through, b.Fork)},
	}
	if err := v.tx.PutCursor(v.cursor, v.now); err != nil {
		return err
	}
	if _, err := v.tx.Unpark(v.latest, 0); err != nil {
		return err
	}
	r.latest, r.cursor, r.granted = v.latest, v.cursor, &b.ID
	return nil
}

// alarmBranch says what the branch means, and keeps both checkpoints.
func (v *handling) alarmBranch(m wire.HelloMsg, base Cursor) error {
	kind := AlarmForked
	if m.Branch.Fork == m.Size {
		kind = AlarmShrunk
	}
	return v.tx.Alarm(Alarm{Kind: kind, Epoch: base.Epoch, Ours: base.Checkpoint, Theirs: m.Checkpoint,
		Detail: fmt.Sprintf("fork=%d ours=%d theirs=%d", m.Branch.Fork, base.Stored(), m.Size)}, v.now)
}
