package nvr

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/nvr/driver"
	"campuskeep/shared/footage"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

// The kinds of access paths.
const (
	PathAccount = "account"
	PathService = "service"
	PathPlace   = "place" // at the NVR itself; no NVR reports it
)

// The answers about an access path.
const (
	AnswerOwn    = "ours"   // the appliance's own way
	AnswerNeeded = "needed" // somebody needs it; the note says who and for what
	AnswerClosed = "shut"   // it is shut, or locked away
	AnswerOpen   = "open"   // it is still open; the note says by when it is shut
)

// Answers lists what may be answered, in the order of the form.
var Answers = []string{AnswerOwn, AnswerNeeded, AnswerClosed, AnswerOpen}

// AccessPath is one way to an NVR's footage that bypasses the appliance.
type AccessPath struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"` // of an account or service as the NVR writes it; a code of a place: monitor, usb, disk
	Level  string `json:"level,omitempty"`
	Port   int    `json:"port,omitempty"`
	Open   bool   `json:"open"`
	Answer string `json:"answer,omitempty"`
	Note   string `json:"note,omitempty"`
}

// Key names an access path within its list.
func (d AccessPath) Key() string { return d.Kind + ":" + d.Name }

// sameState says whether another reading shows the same path in the same state.
func (d AccessPath) sameState(o AccessPath) bool {
	return d.Kind == o.Kind && d.Name == o.Name && d.Level == o.Level && d.Port == o.Port && d.Open == o.Open
}

// AccessList lists the ways to an NVR's footage that bypass the appliance: as read, answered and signed.
type AccessList struct {
	NVR      string       `json:"nvr"`
	Read     time.Time    `json:"read"`
	Paths    []AccessPath `json:"doors"`
	NoUsers  bool         `json:"no_users,omitempty"` // the NVR does not report its accounts
	NoPorts  bool         `json:"no_ports,omitempty"` // nor its services
	Signed   time.Time    `json:"signed,omitzero"`    // zero: not signed, or changed since
	By       string       `json:"by,omitempty"`       // person id
	ByName   string       `json:"by_name,omitempty"`
	Previous time.Time    `json:"previous,omitzero"` // when it was last signed, before it changed
}

// Sum identifies a list as it was read and answered.
func (l AccessList) Sum() [32]byte {
	b, err := json.Marshal(struct {
		NVR   string       `json:"nvr"`
		Read  time.Time    `json:"read"`
		Paths []AccessPath `json:"doors"`
	}{l.NVR, l.Read, l.Paths})
	if err != nil {
		panic(fmt.Sprintf("nvr: a list does not marshal: %v", err)) // a fault of the type, not of the data
	}
	return sha256.Sum256(b)
}

// localPaths are the access paths that every NVR has.
var localPaths = []AccessPath{{Kind: PathPlace, Name: "monitor", Open: true}, {Kind: PathPlace, Name: "usb", Open: true}, {Kind: PathPlace, Name: "disk", Open: true}}

// maxPaths keeps a list within one entry.
const maxPaths = 256

// ReadAccessPaths asks an NVR for its accounts and open services. Answers of the last list stay with paths that have not
// changed; a signature stays only when nothing has. Once it was read, every check reads it again.
func (r *Supervisor) ReadAccessPaths(ctx context.Context, id string) error {
	return r.connected(ctx, id, func(ctx context.Context, l *connection) error { return r.readAccessPaths(ctx, l) })
}

// recheckAccessPaths reads a list again that was read before. The caller holds the connection.
func (r *Supervisor) recheckAccessPaths(ctx context.Context, l *connection) error {
	if _, ok, err := r.AccessList(l.target.ID); err != nil || !ok {
		return err
	}
	if err := r.readAccessPaths(ctx, l); err != nil {
		return fmt.Errorf("read the access paths: %w", err)
	}
	return nil
}

func (r *Supervisor) readAccessPaths(ctx context.Context, l *connection) error {
	next, err := r.listAccessPaths(ctx, l)
	if err != nil {
		return err
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	old, _, err := r.AccessList(next.NVR)
	if err != nil {
		return err
	}
	changed := len(old.Paths) // access paths that went, and those that came
	for i := range next.Paths {
		k := slices.IndexFunc(old.Paths, next.Paths[i].sameState)
		if k < 0 {
			changed++
			continue
		}
		changed--
		next.Paths[i].Answer, next.Paths[i].Note = cmp.Or(old.Paths[k].Answer, next.Paths[i].Answer), old.Paths[k].Note
	}
	next.Previous = old.Signed
	if next.Previous.IsZero() {
		next.Previous = old.Previous
	}
	if changed == 0 && !old.Signed.IsZero() {
		return nil // it was read again and is what was signed
	}
	change := ledgerdb.Change{Puts: []ledgerdb.Put{accessLists.Put(next.NVR, next)}}
	if changed > 0 && !old.Signed.IsZero() {
		change.Entries = []ledger.Draft{r.draft("nvr.fault", next.NVR, map[string]any{"code": "doors", "count": changed})}
	}
	if _, err := r.o.Store.Commit(ctx, change); err != nil {
		return fmt.Errorf("list of NVR %s: %w", next.NVR, err)
	}
	return nil
}

// listAccessPaths reads the list from the NVR, and adds the paths that no NVR reports.
func (r *Supervisor) listAccessPaths(ctx context.Context, l *connection) (AccessList, error) {
	list := AccessList{NVR: l.target.ID, Read: r.o.Clock.Now().Wall.UTC().Truncate(time.Second)}
	users, err := l.driver.Accounts(ctx)
	if list.NoUsers = errors.Is(err, driver.ErrNotOffered); err != nil && !list.NoUsers {
		return list, err
	}
	for _, u := range users {
		d := AccessPath{Kind: PathAccount, Name: u.Name, Level: u.Level, Open: true}
		if u.Name == l.target.User {
			d.Answer = AnswerOwn
		}
		list.Paths = append(list.Paths, d)
	}
	services, err := l.driver.Services(ctx)
	if list.NoPorts = errors.Is(err, driver.ErrNotOffered); err != nil && !list.NoPorts {
		return list, err
	}
	for _, s := range services {
		list.Paths = append(list.Paths, AccessPath{Kind: PathService, Name: s.Name, Port: s.Port, Open: s.Open})
	}
	list.Paths = append(list.Paths, localPaths...)
	if len(list.Paths) > maxPaths {
		return list, &driver.AnswerError{What: "accounts and services", Why: fmt.Sprintf("more than %d", maxPaths)}
	}
	return list, nil
}

// AccessList gives the list of an NVR as last read; ok is false before.
func (r *Supervisor) AccessList(id string) (l AccessList, ok bool, err error) {
	err = r.o.Store.View(func(tx ledgerdb.Tx) error {
		l, _, ok, err = accessLists.Get(tx, id)
		return err
	})
	return l, ok, err
}

// Reply is a person's answer about one access path.
type Reply struct{ Answer, Note string }

// maxNote is the longest note beside an answer.
const maxNote = 200

// Sign takes the answers to the list that was read at an instant, every one of them, and puts the person's signature
// under it. Errors: fielderr.Errors, *account.Refused, ledgerdb.ErrConflict when the list was read again meanwhile.
func (r *Supervisor) Sign(ctx context.Context, by account.Who, name, id string, read time.Time, replies map[string]Reply) (AccessList, error) {
	may := account.May(by.Actor, account.ActNVRsEdit, account.Subject{}, r.o.Clock.Now().Wall)
	if !may.Allowed {
		return AccessList{}, may.Err(account.ActNVRsEdit)
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	l, ok, err := r.AccessList(id)
	if err != nil {
		return l, err
	}
	if !ok || !l.Read.Equal(read) {
		return l, fmt.Errorf("list of NVR %s: %w", id, ledgerdb.ErrConflict)
	}
	l.Paths = slices.Clone(l.Paths)
	if err := l.applyReplies(replies); err != nil {
		return l, err
	}
	l.Signed, l.By, l.ByName, l.Previous = r.o.Clock.Now().Wall.UTC(), by.ID, name, time.Time{}
	open := 0
	for _, d := range l.Paths {
		if d.Open && (d.Answer == AnswerNeeded || d.Answer == AnswerOpen) {
			open++
		}
	}
	sum := l.Sum()
	data := struct {
		NVR   string    `json:"nvr"`
		List  []byte    `json:"list"`
		Lines int       `json:"lines"`
		Open  int       `json:"open"`
		Read  time.Time `json:"read"`
	}{id, sum[:], len(l.Paths), open, l.Read}
	ch := ledgerdb.Change{Puts: []ledgerdb.Put{accessLists.Put(id, l)}, Entries: []ledger.Draft{by.Draft("nvr.signed", may.Role, id, data, sealed("list", id, l.Paths))}}
	if _, err := r.o.Store.Commit(ctx, ch); err != nil {
		return l, fmt.Errorf("sign the list of NVR %s: %w", id, err)
	}
	return l, nil
}

// applyReplies puts replies to the paths; each needs one, and a path that stays open needs a reason.
func (l *AccessList) applyReplies(replies map[string]Reply) error {
	var e fielderr.Errors
	for i := range l.Paths {
		d := &l.Paths[i]
		a := replies[d.Key()]
		a.Note = strings.TrimSpace(a.Note)
		field := fmt.Sprintf("door.%d", i)
		footage.CheckText(&e, field+".note", a.Note, 0, maxNote)
		switch {
		case !slices.Contains(Answers, a.Answer):
			e.Add(field, "err.nvr_answer")
		case a.Answer == AnswerOwn && d.Kind == PathPlace:
			e.Add(field, "err.choice")
		case (a.Answer == AnswerNeeded || a.Answer == AnswerOpen) && a.Note == "":
			e.Add(field+".note", "err.nvr_note")
		}
		d.Answer, d.Note = a.Answer, a.Note
	}
	return e.Err()
}
