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

	"campuskeep/firmware/store"
	"campuskeep/shared/account"
	"campuskeep/shared/fielderr"
	"campuskeep/shared/ledger"
)

// Account is somebody who can log in to an NVR.
type Account struct {
	Name  string
	Level string // as the NVR writes it, "Administrator"
}

// Service is a way in over the network.
type Service struct {
	Name string // as the NVR writes it, "RTSP"
	Port int    // 0: none, or not told
	Open bool
}

// The kinds of doors.
const (
	DoorAccount = "account"
	DoorService = "service"
	DoorPlace   = "place" // at the NVR itself, which no NVR tells of
)

// What is done about a door.
const (
	DoorOurs   = "ours"   // the appliance's own way
	DoorNeeded = "needed" // somebody needs it; the note says who and for what
	DoorShut   = "shut"   // it is shut, or locked away
	DoorOpen   = "open"   // it is still open; the note says by when it is shut
)

// Answers lists what may be answered, in the order of the form.
var Answers = []string{DoorOurs, DoorNeeded, DoorShut, DoorOpen}

// Door is one way to an NVR's footage past the appliance.
type Door struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"` // of an account or service as the NVR writes it; a code of a place: monitor, usb, disk
	Level  string `json:"level,omitempty"`
	Port   int    `json:"port,omitempty"`
	Open   bool   `json:"open"`
	Answer string `json:"answer,omitempty"`
	Note   string `json:"note,omitempty"`
}

// Key names a door within its list.
func (d Door) Key() string { return d.Kind + ":" + d.Name }

// as says whether another reading shows the same door in the same state.
func (d Door) as(o Door) bool {
	return d.Kind == o.Kind && d.Name == o.Name && d.Level == o.Level && d.Port == o.Port && d.Open == o.Open
}

// DoorList is who can get at an NVR's footage past us: as it was read, as it was answered, and as it was signed.
type DoorList struct {
	NVR      string    `json:"nvr"`
	Read     time.Time `json:"read"`
	Doors    []Door    `json:"doors"`
	NoUsers  bool      `json:"no_users,omitempty"` // the NVR does not tell its accounts
	NoPorts  bool      `json:"no_ports,omitempty"` // nor its services
	Signed   time.Time `json:"signed,omitzero"`    // zero: not signed, or changed since
	By       string    `json:"by,omitempty"`       // person id
	ByName   string    `json:"by_name,omitempty"`
	Previous time.Time `json:"previous,omitzero"` // when it was last signed, before it changed
}

// Sum identifies a list as it was read and answered.
func (l DoorList) Sum() [32]byte {
	b, err := json.Marshal(struct {
		NVR   string    `json:"nvr"`
		Read  time.Time `json:"read"`
		Doors []Door    `json:"doors"`
	}{l.NVR, l.Read, l.Doors})
	if err != nil {
		panic(fmt.Sprintf("nvr: a list does not marshal: %v", err)) // a fault of the type, not of the data
	}
	return sha256.Sum256(b)
}

// places are the ways past us that stand at every NVR.
var places = []Door{{Kind: DoorPlace, Name: "monitor", Open: true}, {Kind: DoorPlace, Name: "usb", Open: true}, {Kind: DoorPlace, Name: "disk", Open: true}}

// maxDoors keeps a list within one entry.
const maxDoors = 256

// ReadDoors asks an NVR for its accounts and open services. Answers of the last list stay with doors that have not
// changed; a signature stays only when nothing has. Once it was read, every check reads it again.
func (r *Room) ReadDoors(ctx context.Context, id string) error {
	return r.with(ctx, id, func(ctx context.Context, l *link) error { return r.readDoors(ctx, l) })
}

// watchDoors reads the list again that somebody has asked for before. The caller has the turn.
func (r *Room) watchDoors(ctx context.Context, l *link) error {
	if _, ok, err := r.Doors(l.target.ID); err != nil || !ok {
		return err
	}
	if err := r.readDoors(ctx, l); err != nil {
		return fmt.Errorf("who can get past us: %w", err)
	}
	return nil
}

func (r *Room) readDoors(ctx context.Context, l *link) error {
	next, err := r.listDoors(ctx, l)
	if err != nil {
		return err
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	old, _, err := r.Doors(next.NVR)
	if err != nil {
		return err
	}
	changed := len(old.Doors) // doors that went, and those that came
	for i := range next.Doors {
		k := slices.IndexFunc(old.Doors, next.Doors[i].as)
		if k < 0 {
			changed++
			continue
		}
		changed--
		next.Doors[i].Answer, next.Doors[i].Note = cmp.Or(old.Doors[k].Answer, next.Doors[i].Answer), old.Doors[k].Note
	}
	next.Previous = old.Signed
	if next.Previous.IsZero() {
		next.Previous = old.Previous
	}
	if changed == 0 && !old.Signed.IsZero() {
		return nil // it was read again and is what was signed
	}
	change := store.Change{Puts: []store.Put{doors.Put(next.NVR, next)}}
	if changed > 0 && !old.Signed.IsZero() {
		change.Entries = []ledger.Draft{r.draft("nvr.fault", next.NVR, map[string]any{"code": "doors", "count": changed})}
	}
	if _, err := r.o.Store.Commit(ctx, change); err != nil {
		return fmt.Errorf("list of NVR %s: %w", next.NVR, err)
	}
	return nil
}

// listDoors is the list as the NVR tells it now, with what no NVR tells.
func (r *Room) listDoors(ctx context.Context, l *link) (DoorList, error) {
	list := DoorList{NVR: l.target.ID, Read: r.o.Clock.Now().Wall.UTC().Truncate(time.Second)}
	users, err := l.driver.Accounts(ctx)
	if list.NoUsers = errors.Is(err, ErrNotOffered); err != nil && !list.NoUsers {
		return list, err
	}
	for _, u := range users {
		d := Door{Kind: DoorAccount, Name: u.Name, Level: u.Level, Open: true}
		if u.Name == l.target.User {
			d.Answer = DoorOurs
		}
		list.Doors = append(list.Doors, d)
	}
	services, err := l.driver.Services(ctx)
	if list.NoPorts = errors.Is(err, ErrNotOffered); err != nil && !list.NoPorts {
		return list, err
	}
	for _, s := range services {
		list.Doors = append(list.Doors, Door{Kind: DoorService, Name: s.Name, Port: s.Port, Open: s.Open})
	}
	list.Doors = append(list.Doors, places...)
	if len(list.Doors) > maxDoors {
		return list, &AnswerError{What: "accounts and services", Why: fmt.Sprintf("more than %d", maxDoors)}
	}
	return list, nil
}

// Doors is the list of an NVR as it was last read; ok is false before.
func (r *Room) Doors(id string) (l DoorList, ok bool, err error) {
	err = r.o.Store.View(func(tx store.Tx) error {
		l, _, ok, err = doors.Get(tx, id)
		return err
	})
	return l, ok, err
}

// Reply is what a person answers about one door.
type Reply struct{ Answer, Note string }

// maxNote is the longest note beside an answer.
const maxNote = 200

// Sign takes the answers to the list that was read at an instant, every one of them, and puts the person's signature
// under it. Errors: fielderr.Errors, *account.Refused, store.ErrConflict when the list was read again meanwhile.
func (r *Room) Sign(ctx context.Context, by account.Who, name, id string, read time.Time, replies map[string]Reply) (DoorList, error) {
	may := account.May(by.Actor, account.ActNVRsEdit, account.Subject{}, r.o.Clock.Now().Wall)
	if !may.Allowed {
		return DoorList{}, may.Err(account.ActNVRsEdit)
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	l, ok, err := r.Doors(id)
	if err != nil {
		return l, err
	}
	if !ok || !l.Read.Equal(read) {
		return l, fmt.Errorf("list of NVR %s: %w", id, store.ErrConflict)
	}
	l.Doors = slices.Clone(l.Doors)
	if err := l.answer(replies); err != nil {
		return l, err
	}
	l.Signed, l.By, l.ByName, l.Previous = r.o.Clock.Now().Wall.UTC(), by.ID, name, time.Time{}
	open := 0
	for _, d := range l.Doors {
		if d.Open && (d.Answer == DoorNeeded || d.Answer == DoorOpen) {
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
	}{id, sum[:], len(l.Doors), open, l.Read}
	ch := store.Change{Puts: []store.Put{doors.Put(id, l)}, Entries: []ledger.Draft{by.Draft("nvr.signed", may.Role, id, data, sealed("list", id, l.Doors))}}
	if _, err := r.o.Store.Commit(ctx, ch); err != nil {
		return l, fmt.Errorf("sign the list of NVR %s: %w", id, err)
	}
	return l, nil
}

// answer puts replies to the doors; each needs one, and a door that stays open needs a word why.
func (l *DoorList) answer(replies map[string]Reply) error {
	var e fielderr.Errors
	for i := range l.Doors {
		d := &l.Doors[i]
		a := replies[d.Key()]
		a.Note = strings.TrimSpace(a.Note)
		field := fmt.Sprintf("door.%d", i)
		word(&e, field+".note", a.Note, 0, maxNote)
		switch {
		case !slices.Contains(Answers, a.Answer):
			e.Add(field, "err.nvr_answer")
		case a.Answer == DoorOurs && d.Kind == DoorPlace:
			e.Add(field, "err.choice")
		case (a.Answer == DoorNeeded || a.Answer == DoorOpen) && a.Note == "":
			e.Add(field+".note", "err.nvr_note")
		}
		d.Answer, d.Note = a.Answer, a.Note
	}
	return e.Err()
}
