package ledger

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Head is what was found out about a signed checkpoint.
type Head struct {
	Checkpoint
	LogKey     string    // verifier key of the log, as given along
	WitnessKey string    // of the witness; empty: not witnessed
	Witnessed  time.Time // the witness' time
	Trusted    bool      // a key that the caller trusts signed it; else only wholeness is shown
}

// VerifyHead checks a checkpoint with the keys given along: each signature has its key, in order, each key is
// used, the log itself signed under its own name. It is Trusted when one of the trusted keys signed too;
// when trusted keys are given and none of them signed, that is an error.
func VerifyHead(checkpoint []byte, keys []string, trusted []Verifier) (Head, error) {
	all, err := headKeys(keys)
	if err != nil {
		return Head{}, err
	}
	known := make([]note.Verifier, len(all))
	for i, v := range all {
		known[i] = v
	}
	c, n, err := OpenCheckpoint(checkpoint, known...)
	if err != nil {
		return Head{}, err
	}
	again, err := note.Sign(n)
	if err != nil || string(again) != string(checkpoint) || len(n.UnverifiedSigs) > 0 || len(n.Sigs) != len(all) {
		return Head{}, errors.New("ledger: the signatures and the keys given along do not match")
	}
	h := Head{Checkpoint: c}
	for i, v := range all {
		if _, err := base64.StdEncoding.Strict().DecodeString(n.Sigs[i].Base64); err != nil {
			return Head{}, errors.New("ledger: a signature is not in canonical form")
		}
		if n.Sigs[i].Name != v.Name() || n.Sigs[i].Hash != v.KeyHash() {
			return Head{}, errors.New("ledger: the signatures and the keys given along do not match")
		}
		if err := h.sign(n, v); err != nil {
			return Head{}, err
		}
		h.Trusted = h.Trusted || slices.ContainsFunc(trusted, func(t Verifier) bool { return t.Key == v.Key })
	}
	if h.LogKey == "" {
		return Head{}, errors.New("ledger: the log itself has not signed")
	}
	if len(trusted) > 0 && !h.Trusted {
		return Head{}, ErrUntrusted
	}
	return h, nil
}

// ErrUntrusted: the file is whole, but none of the keys that the caller trusts has signed it.
var ErrUntrusted = errors.New("ledger: not signed by a trusted key")

func (h *Head) sign(n *note.Note, v Verifier) error {
	if v.Witness {
		at, ok := CosignatureTime(n, v)
		if !ok || h.WitnessKey != "" {
			return errors.New("ledger: want at most one cosignature")
		}
		h.WitnessKey, h.Witnessed = v.Key, at
		return nil
	}
	name, _, err := SplitOrigin(h.Origin)
	if err != nil {
		return err
	}
	if name != v.Name() || h.LogKey != "" {
		return fmt.Errorf("ledger: the log of %s is signed by %s", h.Origin, v.Name())
	}
	h.LogKey = v.Key
	return nil
}

func headKeys(keys []string) ([]Verifier, error) {
	all := make([]Verifier, len(keys))
	for i, k := range keys {
		v, err := ParseVerifier(k)
		if err != nil {
			return nil, err
		}
		if slices.Contains(keys[:i], k) {
			return nil, errors.New("ledger: a key is given twice")
		}
		all[i] = v
	}
	return all, nil
}

// Verdict is what a verified proof shows.
type Verdict struct {
	Head
	Entry Entry
	Parts []OpenPart // each opens its commitment in the entry
}

// Verify checks a proof offline. Without trusted keys it shows that the file is whole and consistent
// (Head.Trusted false), never where it comes from.
func (p Proof) Verify(trusted ...Verifier) (Verdict, error) {
	h, err := VerifyHead(p.Checkpoint, p.Keys, trusted)
	if err != nil {
		return Verdict{}, err
	}
	e, err := ParseEntry(p.Leaf)
	if err != nil {
		return Verdict{}, err
	}
	if err := CheckInclusion(p.Path, h.Size, h.Root, e.Seq, tlog.RecordHash(p.Leaf)); err != nil {
		return Verdict{}, fmt.Errorf("ledger: entry %d is not in the signed tree: %w", e.Seq, err)
	}
	for i, part := range p.Parts {
		if slices.ContainsFunc(p.Parts[:i], func(o OpenPart) bool { return o.Name == part.Name }) {
			return Verdict{}, fmt.Errorf("ledger: part %q is given twice", part.Name)
		}
		j := slices.IndexFunc(e.Sealed, func(c Commitment) bool { return c.Name == part.Name && c.Owner == part.Owner })
		if j < 0 || !e.Sealed[j].Opens(part.Salt, part.Plain) {
			return Verdict{}, fmt.Errorf("ledger: part %q is not what the entry binds", part.Name)
		}
	}
	return Verdict{Head: h, Entry: e, Parts: p.Parts}, nil
}
