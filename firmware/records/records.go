// Package records keeps pupils' safety records at work: versions of records in sections with readers and keys of their own,
// concerns that somebody follows up, emergency cards that were opened, agreements on confidentiality.
//
// It owns the tables in this file and an index of them in memory, which holds no text of a sensitive section. It must never
// give out a sensitive section without a purpose and an entry, overwrite what was written, or let a section be written again
// whose key was destroyed. The rules are in shared/records and shared/account.
package records

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/sealedfiles"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/ledger"
	rules "campuskeep/shared/records"
	"campuskeep/shared/student"
)

// ErrNotFound: no such pupil, record, concern or card.
var ErrNotFound = errors.New("records: not found")

// Options is what the records need from outside.
type Options struct {
	Store  *ledgerdb.Store
	Files  *sealedfiles.Store
	Keys   *keyring.Ring // the people ring
	People *people.People
	Clock  clock.Clock
	Zone   *time.Location
	Log    *slog.Logger
}

// The tables. A row of versions is one version for ever; its key names pupil, section and kind, so that a choice by section
// is made before anything is opened.
var (
	versions   = ledgerdb.NewTable[rules.Record]("records", ledgerdb.Replayable(), ledgerdb.Sealed(func(r rules.Record) string { return rules.Owner(r.Student, r.Section()) }))
	concerns   = ledgerdb.NewTable[rules.Concern]("concerns", ledgerdb.Sealed(func(c rules.Concern) string { return rules.Owner(c.Student, c.Section) }))
	glasses    = ledgerdb.NewTable[rules.Glass]("break_glass", ledgerdb.Sealed(func(g rules.Glass) string { return rules.Owner(g.Student, rules.Basic) }))
	agreements = ledgerdb.NewTable[rules.Agreement]("confidentiality", ledgerdb.Sealed(func(a rules.Agreement) string { return "person:" + a.Person }))
)

// place is where a version lies: <pupil>/<section>/<kind>/<id>/<version>.
type place struct {
	pupil   string
	section rules.Section
	kind    string
	id      string
	version int
}

func (p place) String() string {
	return fmt.Sprintf("%s/%s/%s/%s/%04d", p.pupil, p.section, p.kind, p.id, p.version)
}

func placeOf(key string) (p place, ok bool) {
	f := strings.Split(key, "/")
	if len(f) != 5 {
		return p, false
	}
	n, err := strconv.Atoi(f[4])
	return place{f[0], rules.Section(f[1]), f[2], f[3], n}, err == nil
}

// Records are the records at work; all methods are safe for concurrent use.
type Records struct {
	o       Options
	writing sync.Mutex // held from reading what a change goes by until it is committed

	mu         sync.RWMutex
	places     map[string]place                   // newest version by record id; guarded by mu, like all below
	count      map[string]map[rules.Section]int   // records by pupil and section
	care       map[string]map[string]rules.Record // care instructions and cards by pupil and record id
	incidents  map[string]rules.Record            // incidents and praise by record id
	concerns   map[string]concern                 // by id
	glasses    map[string]glass                   // by id
	agreements map[string]rules.Agreement         // by person
	opened     map[opening]opened                 // sections that somebody opened
	erased     map[string]map[rules.Section]bool  // whose keys were destroyed
	years      rules.Years
	kept       map[sectionOf]rules.Extension
	erasures   map[sectionOf]erasure
	volumes    map[string]volume // paper volumes by id
	letters    map[string]letter // signed safety letters
	numbers    map[string]int    // highest number by letter of ids
}

type concern struct {
	rules.Concern
	rev uint64
}

type glass struct {
	rules.Glass
	rev uint64
}

// Open reads the index. It starts nothing.
func Open(o Options) (*Records, error) {
	r := &Records{o: o, places: map[string]place{}, count: map[string]map[rules.Section]int{}, care: map[string]map[string]rules.Record{}, incidents: map[string]rules.Record{},
		concerns: map[string]concern{}, glasses: map[string]glass{}, agreements: map[string]rules.Agreement{}, opened: map[opening]opened{},
		erased: map[string]map[rules.Section]bool{}, numbers: map[string]int{}, kept: map[sectionOf]rules.Extension{}, erasures: map[sectionOf]erasure{}, volumes: map[string]volume{}, letters: map[string]letter{}}
	if r.o.Log == nil {
		r.o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.Store.View(r.load); err != nil {
		return nil, fmt.Errorf("open the records: %w", err)
	}
	return r, nil
}

func (r *Records) load(tx ledgerdb.Tx) error {
	for key := range versions.Keys(tx, "") {
		if p, ok := placeOf(key); ok {
			r.takePlace(p)
		}
	}
	for _, p := range r.places {
		if !indexed(p.kind) {
			continue
		}
		v, _, _, err := versions.Get(tx, p.String())
		if errors.Is(err, ledgerdb.ErrErased) {
			continue
		}
		if err != nil {
			return err
		}
		r.takeText(v)
	}
	for id, row := range concerns.Rows(tx, "") {
		r.number(id)
		if row.Err == nil {
			r.concerns[id] = concern{row.Value, row.Rev}
		} else if !errors.Is(row.Err, ledgerdb.ErrErased) {
			return row.Err
		}
	}
	for id, row := range glasses.Rows(tx, "") {
		r.number(id)
		if row.Err == nil {
			r.glasses[id] = glass{row.Value, row.Rev}
		} else if !errors.Is(row.Err, ledgerdb.ErrErased) {
			return row.Err
		}
	}
	for id, a := range agreements.All(tx) {
		r.agreements[id] = a
	}
	if err := r.loadVolumes(tx); err != nil {
		return err
	}
	return r.loadErased(tx)
}

// indexed kinds are kept in memory: what a roll shows, and what statistics count. None is of a sensitive nature.
func indexed(kind string) bool {
	return kind == rules.KindCare || kind == rules.KindCard || kind == rules.KindIncident || kind == rules.KindPraise
}

// takePlace notes a version. The caller holds mu, or is load.
func (r *Records) takePlace(p place) {
	r.number(p.id)
	old, known := r.places[p.id]
	if !known {
		if r.count[p.pupil] == nil {
			r.count[p.pupil] = map[rules.Section]int{}
		}
		r.count[p.pupil][p.section]++
	}
	if !known || old.version < p.version {
		r.places[p.id] = p
	}
}

// takeText keeps what of a newest version is in memory. The caller holds mu, or is load.
func (r *Records) takeText(v rules.Record) {
	switch v.Kind {
	case rules.KindCare, rules.KindCard:
		if r.care[v.Student] == nil {
			r.care[v.Student] = map[string]rules.Record{}
		}
		r.care[v.Student][v.ID] = v
	case rules.KindIncident, rules.KindPraise:
		r.incidents[v.ID] = v
	}
}

// number notes that the number of an id is used. The caller holds mu, or is load.
func (r *Records) number(id string) {
	if id == "" {
		return
	}
	if n, err := strconv.Atoi(id[1:]); err == nil {
		r.numbers[id[:1]] = max(r.numbers[id[:1]], n)
	}
}

// nextID gives the next id of a letter, n after the highest. The caller holds writing.
func (r *Records) nextID(letter string, n int) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return fmt.Sprintf("%s%06d", letter, r.numbers[letter]+1+n)
}

func (r *Records) now() time.Time { return r.o.Clock.Now().Wall }

// today is the date at the school.
func (r *Records) today() string { return r.now().In(r.o.Zone).Format(student.DateLayout) }

// moment is the present as forms write it.
func (r *Records) moment() string { return r.now().In(r.o.Zone).Format(rules.MomentLayout) }

// Signed says whether records open for a person: agreement and training are on file (S36).
func (r *Records) Signed(person string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.agreements[person].Holds(r.today())
}

// Subject is what an action is about when somebody asks about a pupil.
func (r *Records) Subject(person, pupil string) account.Subject {
	return account.Subject{Class: r.o.People.ClassOf(pupil, r.today()), Signed: r.Signed(person)}
}

// allow asks the permission table about a pupil.
func (r *Records) allow(by account.Who, action account.Action, s account.Subject) (account.Role, error) {
	if by.IsSystem() {
		return "", nil
	}
	d := account.May(by.Actor, action, s, r.now())
	return d.Role, d.Err(action)
}

// Counts is how many records a pupil has by section. It opens nothing.
func (r *Records) Counts(pupil string) map[rules.Section]int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := map[rules.Section]int{}
	for s, n := range r.count[pupil] {
		if !r.erased[pupil][s] {
			out[s] = n
		}
	}
	return out
}

// works says whether somebody has an account that is not closed.
func (r *Records) works(person string) bool {
	p, ok := r.o.People.Person(person)
	return ok && !p.Disabled
}

func part(name, owner string, text string) []ledger.Part {
	if text == "" {
		return nil
	}
	return []ledger.Part{{Name: name, Owner: owner, Plain: []byte(text)}}
}
