package people

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/clock"
	"campuskeep/shared/login"
	"campuskeep/shared/student"
)

// People is the opened register of people. All methods are safe for concurrent use.
type People struct {
	o        Options
	siteKey  [32]byte
	guard    *login.Guard // "n-…" names, "a-…" networks, "d-…" devices that a person has used
	verifier login.Verifier

	// writing serialises changes of persons, pupils, classes and cards, so that ids and uniqueness can be
	// decided on the index. It is taken before mu, never inside it, and held over the commit.
	writing sync.Mutex

	mu        sync.RWMutex
	persons   map[string]*personRec
	byLogin   map[string]string // log-in name → id
	students  map[string]pupil
	enrolled  map[string][]enrolment     // student → in order of the first day
	members   map[string]map[string]bool // class → students who ever were in it
	classes   map[string]classRec
	cards     map[string]cardRow // by hex hash
	erased    map[string]int     // "p", "s" → highest number of an erased subject
	proposed  map[string]DutyChange
	dutySet   bool // there has been a duty person with a second factor: nobody gives duties alone any more
	dutyNoted bool // and the store has it

	login loginState
}

type personRec struct {
	Person
	rev    uint64
	factor bool      // has a second factor
	must   bool      // must change the password
	set    time.Time // when the password was set
}

type pupil struct {
	student.Student
	rev uint64
}

type enrolment struct {
	student.Enrolment
	rev uint64
}

type classRec struct {
	student.Class
	rev uint64
}

// loginState is the state of log-ins. Its lock is never held over a commit.
type loginState struct {
	sync.Mutex
	sessions map[string]*session // hash of the token →
}

type session struct {
	sessionRow
	written login.Stamp // Used as the store has it
}

// hashingLimit is how many passwords are hashed at once; more wait. It bounds memory and keeps a storm of
// log-ins from taking the board away from recording.
const hashingLimit = 2

// Open loads the index; personal rows are opened with the store's people ring. Rows of erased people are left
// out. The store's Run need not run yet.
func Open(_ context.Context, o Options) (*People, error) {
	if o.Policy == nil {
		o.Policy = func() Policy { return DefaultPolicy }
	}
	if o.Cost == (login.Params{}) {
		o.Cost = login.Cost
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &People{o: o, verifier: login.NewVerifier(o.Cost),
		persons: map[string]*personRec{}, byLogin: map[string]string{}, students: map[string]pupil{},
		enrolled: map[string][]enrolment{}, members: map[string]map[string]bool{}, classes: map[string]classRec{}, cards: map[string]cardRow{},
		erased: map[string]int{}, proposed: map[string]DutyChange{}}
	p.login.sessions = map[string]*session{}
	var err error
	if p.siteKey, err = openSiteKey(o.Data); err != nil {
		return nil, fmt.Errorf("open people: %w", err)
	}
	if err := o.Store.View(p.load); err != nil {
		return nil, fmt.Errorf("open people: %w", err)
	}
	return p, nil
}

func (p *People) load(tx ledgerdb.Tx) (err error) {
	for id, r := range persons.Rows(tx, "") {
		if skip, err := p.skipErased(id, r.Err); skip || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		p.persons[id] = &personRec{Person: r.Value, rev: r.Rev}
		p.byLogin[r.Value.Login] = id
	}
	for id, s := range secrets.All(tx) {
		if rec := p.persons[id]; rec != nil {
			rec.take(s)
		}
	}
	for _, rec := range p.persons {
		p.dutySet = p.dutySet || rec.factor && account.ConfirmsDuty(rec.Roles)
	}
	_, _, p.dutyNoted, err = setUps.Get(tx, dutyDone)
	if err != nil {
		return err
	}
	p.dutySet = p.dutySet || p.dutyNoted
	for id, d := range dutyChanges.All(tx) {
		p.proposed[id] = d
	}
	for hash, s := range sessions.All(tx) {
		p.login.sessions[hash] = &session{sessionRow: s, written: s.Used}
	}
	counted := map[string]login.Attempts{}
	for key, a := range attempts.All(tx) {
		counted[key] = a
	}
	p.guard = login.NewGuard(hashingLimit, counted)
	for id, r := range students.Rows(tx, "") {
		if skip, err := p.skipErased(id, r.Err); skip || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		p.students[id] = pupil{r.Value, r.Rev}
	}
	for id, r := range classes.Rows(tx, "") {
		if r.Err != nil {
			return r.Err
		}
		p.classes[id] = classRec{r.Value, r.Rev}
	}
	for _, r := range enrolments.Rows(tx, "") {
		if r.Err != nil {
			return r.Err
		}
		p.takeEnrolment(enrolment{r.Value, r.Rev})
	}
	for hash, c := range cards.All(tx) {
		p.cards[hash] = c
	}
	return nil
}

const firstKey = "first"

// skipErased passes over rows of erased subjects, whose number stays used.
func (p *People) skipErased(id string, err error) (skip bool, _ error) {
	if !errors.Is(err, ledgerdb.ErrErased) {
		return false, err
	}
	if n, err := strconv.Atoi(id[1:]); err == nil {
		p.erased[id[:1]] = max(p.erased[id[:1]], n)
	}
	return true, nil
}

func (r *personRec) take(s secret) { r.factor, r.must, r.set = len(s.Factor) > 0, s.Must, s.Set }

// takeEnrolment puts an enrolment in its place by first day. The caller holds mu, or is Open.
func (p *People) takeEnrolment(e enrolment) {
	list := p.enrolled[e.Student]
	at := len(list)
	for i, x := range list {
		if x.From == e.From {
			list[i] = e
			return
		}
		if x.From > e.From {
			at = i
			break
		}
	}
	list = append(list, enrolment{})
	copy(list[at+1:], list[at:])
	list[at] = e
	p.enrolled[e.Student] = list
	if p.members[e.Class] == nil {
		p.members[e.Class] = map[string]bool{}
	}
	p.members[e.Class][e.Student] = true
}

const siteKeyFile = "keys/site"

// openSiteKey reads the key under which card numbers and typed log-in names are hashed, and makes it on the
// first start. It lies in a file of its own, never in the database: without it a card number cannot be found
// by trying all of them.
func openSiteKey(fsys disk.FS) (key [32]byte, err error) {
	if err := disk.RemoveTemp(fsys, siteKeyFile); err != nil {
		return key, err
	}
	b, err := disk.ReadFile(fsys, siteKeyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := fsys.MkdirAll("keys", 0o700); err != nil {
			return key, fmt.Errorf("make the site key: %w", err)
		}
		rand.Read(key[:])
		if err := disk.WriteAtomic(fsys, siteKeyFile, key[:], 0o600); err != nil {
			return key, fmt.Errorf("make the site key: %w", err)
		}
		return key, nil
	case err != nil:
		return key, fmt.Errorf("read the site key: %w", err)
	case len(b) != len(key):
		return key, fmt.Errorf("read the site key: %s has %d bytes, want %d", siteKeyFile, len(b), len(key))
	}
	copy(key[:], b)
	return key, nil
}

// pseudonym hashes a typed log-in name or an address: people type passwords into the field for the name.
func (p *People) pseudonym(kind, text string) []byte {
	m := hmac.New(sha256.New, p.siteKey[:])
	m.Write([]byte("campuskeep " + kind + "\x00" + text))
	return m.Sum(nil)[:16]
}

func (p *People) now() clock.Reading { return p.o.Clock.Now() }

// today is the local date of the school.
func (p *People) today() string { return p.dateOf(p.now()) }

func (p *People) dateOf(r clock.Reading) string {
	return r.Wall.In(p.o.Zone).Format(student.DateLayout)
}

// CardKey is the site key under which attendance.Card.Hash makes what is stored of a card number.
func (p *People) CardKey() [32]byte { return p.siteKey }
