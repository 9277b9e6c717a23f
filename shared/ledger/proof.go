package ledger

import "golang.org/x/mod/sumdb/tlog"

// OpenPart is one sealed part of an entry, opened.
type OpenPart struct {
	Name   string
	Owner  string
	Salt   []byte // 32 bytes
	Plain  []byte
	Erased bool // the owner's key is gone; Salt and Plain are nil
}

// Proof shows to someone offline that an entry stands in the log.
type Proof struct {
	Seq        uint64
	Leaf       []byte     // the entry's JSON bytes as stored
	Parts      []OpenPart // sealed parts given along
	Size       uint64     // of the tree of Checkpoint
	Path       []tlog.Hash
	Checkpoint []byte   // signed note, with the centre's cosignature when there is one
	Keys       []string // verifier keys named by Checkpoint's signatures: they show wholeness, not origin
}
