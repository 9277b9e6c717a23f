package absence

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
	_ "time/tzdata"

	"campuskeep/firmware/gate"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/ledgerdb/ledgerdbtest"
	"campuskeep/firmware/reader"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/student"
)

var shanghai = func() *time.Location {
	l, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		panic(err)
	}
	return l
}()

// at is an instant of Wednesday 20 May 2026 at the school.
func at(h, m, s int) time.Time { return time.Date(2026, 5, 20, h, m, s, 0, shanghai) }

const today = "2026-05-20"

var teacher = account.Who{Actor: account.Actor{ID: "p015", Roles: []account.Role{account.RoleClassTeacher}}, Via: "web"}

// school has classes of pupils s0001 …; each pupil has two guardians and card number n, but for those in cardless.
type school struct {
	classes  []gate.Class
	cardless map[string]bool
	headless map[string]bool // classes
	calendar attendance.Calendar
	key      [32]byte
}

func newSchool(classes, size int) *school {
	s := &school{cardless: map[string]bool{}, headless: map[string]bool{}, key: [32]byte{1, 2, 3}, calendar: attendance.Calendar{Zone: "Asia/Shanghai", Hours: attendance.DefaultHours}}
	n := 0
	for c := range classes {
		k := gate.Class{ID: fmt.Sprintf("2024-%02d", c+1)}
		for range size {
			n++
			k.Students = append(k.Students, pupil(n))
		}
		s.classes = append(s.classes, k)
	}
	return s
}

func pupil(n int) string { return fmt.Sprintf("s%04d", n) }
func uid(n int) []byte   { return binary.BigEndian.AppendUint32(nil, 0xC0DE0000+uint32(n)) }

func (s *school) ByCard(hash []byte) (string, string, bool) {
	for _, c := range s.classes {
		for _, id := range c.Students {
			var n int
			if _, err := fmt.Sscanf(id, "s%d", &n); err != nil {
				panic(err)
			}
			if !s.cardless[id] && string(attendance.Card{Bits: 32, Raw: uid(n)}.Hash(s.key)) == string(hash) {
				return id, c.ID, true
			}
		}
	}
	return "", "", false
}

func (s *school) Classes(string) []gate.Class { return s.classes }

func (s *school) Grade(string, string) int { return 0 }

func (s *school) Carded() map[string]bool {
	out := map[string]bool{}
	for _, c := range s.classes {
		for _, id := range c.Students {
			out[id] = !s.cardless[id]
		}
	}
	return out
}

func (s *school) Calendar() attendance.Calendar { return s.calendar }
func (s *school) Readers() []gate.Reader {
	return []gate.Reader{{ID: "r01", Direction: attendance.In}, {ID: "r02", Direction: attendance.In}}
}

func (s *school) Student(id string) (student.Student, bool) {
	return student.Student{ID: id, Guardians: make([]student.Guardian, 2)}, s.ClassOf(id, "") != ""
}

func (s *school) Class(id string) (student.Class, bool) {
	c := student.Class{ID: id}
	if !s.headless[id] {
		c.Teachers = []student.Teaching{{Person: "p015", Duty: student.DutyHead, From: "2024-09-01"}}
	}
	return c, true
}

func (s *school) ClassOf(studentID, _ string) string {
	for _, c := range s.classes {
		if slices.Contains(c.Students, studentID) {
			return c.ID
		}
	}
	return ""
}

var errDisk = errors.New("the disk does not answer")

// faulty is the store with commits that fail, some of them after they were written.
type faulty struct {
	*ledgerdbtest.Store
	fail func() (before, after bool)
}

func (f *faulty) Commit(ctx context.Context, c ledgerdb.Change) (ledgerdb.Receipt, error) {
	var before, after bool
	if f.fail != nil {
		before, after = f.fail()
	}
	if before {
		return ledgerdb.Receipt{}, errDisk
	}
	r, err := f.Store.Commit(ctx, c)
	if err == nil && after {
		return ledgerdb.Receipt{}, errDisk
	}
	return r, err
}

type env struct {
	t      testing.TB
	school *school
	clock  *clocktest.Clock
	store  *faulty
	gate   *gate.Gate
	*Absence
}

func newEnv(t testing.TB, s *school, wall time.Time) *env {
	t.Helper()
	h := &env{t: t, school: s, clock: clocktest.At(wall)}
	h.store = &faulty{Store: ledgerdbtest.Open(t, t.TempDir(), h.clock)}
	var err error
	h.gate, err = gate.New(gate.Options{Store: h.store.Store, Students: s, Site: s, Clock: h.clock, CardKey: s.key, Show: func(string, attendance.Signal) {}})
	if err != nil {
		t.Fatal(err)
	}
	h.restart()
	return h
}

// restart forgets what is in memory, as a kill does.
func (h *env) restart() {
	h.t.Helper()
	a, err := Open(Options{Store: h.store, People: h.school, Gate: h.gate, Calendar: h.school.Calendar, Clock: h.clock})
	if err != nil {
		h.t.Fatal(err)
	}
	h.Absence = a
}

func (h *env) set(wall time.Time) { h.clock.Pass(wall.Sub(h.clock.Now().Wall)) }

func (h *env) tap(n int, readerID string) {
	h.t.Helper()
	if _, err := h.gate.Tap(h.t.Context(), reader.CardRead{Reader: readerID, Bits: 32, UID: uid(n), At: h.clock.Now().Mono}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *env) reader(id string, on bool) {
	h.t.Helper()
	s := reader.Status{Reader: id, State: reader.Online, Reason: reader.ReasonAnswers, Since: h.clock.Now().Mono}
	if !on {
		s.State, s.Reason = reader.Offline, reader.ReasonSilent
	}
	if err := h.gate.ReaderState(h.t.Context(), s); err != nil {
		h.t.Fatal(err)
	}
}

func (h *env) evaluate() {
	h.t.Helper()
	if err := h.Evaluate(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}
