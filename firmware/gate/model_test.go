package gate

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campuskeep/firmware/reader"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
)

// movingSchool is a school whose pupils move between classes and leave.
type movingSchool struct {
	*school
	class map[int]string // of the pupils of the model; "" is not enrolled
}

const modelPupils = 8

func (s *movingSchool) ByCard(hash []byte) (string, string, bool) {
	n, ok := s.byCard[string(hash)]
	if !ok || s.class[n] == "" {
		return "", "", false
	}
	return pupil(n), s.class[n], true
}

func (s *movingSchool) Classes(string) (out []Class) {
	for _, id := range []string{"2024-01", "2024-02"} {
		c := Class{ID: id}
		for n := 1; n <= modelPupils; n++ {
			if s.class[n] == id {
				c.Students = append(c.Students, pupil(n))
			}
		}
		out = append(out, c)
	}
	return out
}

func (s *movingSchool) Grade(string, string) int { return 0 }

// No false absence: anyone who held a card to a reader that beeped, is on leave or is not enrolled, and everybody when
// a reader, the store, the clock or the power was out for long enough to miss them before parents are notified, is never
// called absent; and who does not come while all works is. Covers S6, S7.
func TestNobodyIsFalselyAbsent(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := newEnv(t, at(6, 0, 0))
		defer h.close()
		h.clock.stop() // the outages here are as long as the actions say, however slow the machine is
		s := &movingSchool{h.school, map[int]string{}}
		for n := 1; n <= modelPupils; n++ {
			s.class[n] = "2024-01"
		}
		restart := func() {
			h.open()
			g, err := New(Options{Store: h.store, Students: s, Site: s, Clock: h.clock, CardKey: s.key, Show: h.signal, Log: h.gate.o.Log})
			if err != nil {
				rt.Fatal(err)
			}
			h.gate = g
		}
		h.close()
		restart()
		var w watching
		boots := 1
		came, excused := map[int]bool{}, map[int]bool{}
		since := map[string]time.Time{} // what is out now
		out := false                    // something was out for long enough
		unsure := false                 // …or may have been: the last sign of life is up to a minute before the power went
		told := at(8, 15, 0)            // what fails from here on does not undo an absence
		wall := at(6, 0, 0)
		cut := func(what string) { since[what] = wall }
		back := func(what string) {
			out = out || since[what].Before(told) && wall.Sub(since[what]) >= unobservedFrom
			delete(since, what)
		}
		round := func() {
			h.gate.round(t.Context(), &w)
		}
		round()
		pass := func(d time.Duration) { // in rounds, as the appliance runs
			end := wall.Add(d)
			for wall.Before(end) {
				wall = wall.Add(min(end.Sub(wall), 5*time.Minute))
				h.clock.set(wall)
				round()
			}
		}
		check := func() {
			t.Helper()
			roll, err := h.gate.decideAll(today, h.clock.Now())
			if err != nil {
				rt.Fatal(err)
			}
			found := map[string]attendance.Outcome{}
			for _, d := range roll {
				found[d.status.Student] = d.status.Outcome
			}
			lasting := out
			for _, from := range since {
				lasting = lasting || from.Before(told) && wall.Sub(from) >= unobservedFrom
			}
			logged := map[string]string{}
			for _, e := range h.entries("attendance.day") {
				logged[e.Subject] = fmt.Sprint(data(t, e)["status"])
			}
			for n := 1; n <= modelPupils; n++ {
				o := found[pupil(n)]
				absent := o == attendance.AbsentUnexplained || o == attendance.Truant
				innocent := came[n] || excused[n] || s.class[n] == "" || lasting
				if absent && innocent {
					rt.Fatalf("%s: pupil %d is %s; came %v, excused %v, class %q, out %v", wall.In(shanghai), n, o, came[n], excused[n], s.class[n], lasting)
				}
				if !innocent && !unsure && wall.After(at(8, 5, 0)) && !absent {
					rt.Fatalf("%s: pupil %d did not come with all in order and is %q", wall.In(shanghai), n, o)
				}
				if l := attendance.Outcome(logged[pupil(n)]); len(since) == 0 && s.class[n] != "" && (l == attendance.AbsentUnexplained) && innocent {
					rt.Fatalf("%s: the log says that pupil %d is %s", wall.In(shanghai), n, l)
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"time": func(rt *rapid.T) {
				if wall.Before(at(11, 0, 0)) {
					pass(time.Duration(rapid.IntRange(1, 45).Draw(rt, "minutes")) * time.Minute)
				}
			},
			"tap": func(rt *rapid.T) {
				n, id := rapid.IntRange(1, modelPupils).Draw(rt, "pupil"), rapid.SampledFrom([]string{"r01", "r02"}).Draw(rt, "reader")
				if _, off := since[id]; off {
					return
				}
				pass(10 * time.Second)
				r, err := h.gate.Tap(t.Context(), h.read(uid(n), id))
				if err != nil {
					return // told by the long tone
				}
				came[n] = came[n] || r.Known
			},
			"reader": func(rt *rapid.T) {
				id := rapid.SampledFrom([]string{"r01", "r02"}).Draw(rt, "reader")
				st, reason := reader.Offline, reader.ReasonSilent
				if _, off := since[id]; off {
					st, reason = reader.Online, reader.ReasonAnswers
					back(id)
				} else {
					cut(id)
				}
				err := h.gate.ReaderState(t.Context(), reader.Status{Reader: id, State: st, Reason: reason, Since: h.clock.Now().Mono})
				if err != nil {
					rt.Fatal(err)
				}
			},
			"clock": func(rt *rapid.T) {
				if _, off := since["clock"]; off {
					h.clock.correct(wall, 0)
					delete(since, "clock")
					round()
				} else if !out {
					h.clock.doubt(clock.Untrusted)
					since["clock"] = time.Time{} // nobody is absent by it, from the first second
				}
			},
			"power": func(rt *rapid.T) {
				if len(since) > 0 {
					return
				}
				h.close()
				cut("power")
				wall = wall.Add(time.Duration(rapid.IntRange(0, 90).Draw(rt, "minutes without power")) * time.Minute)
				h.clock.set(wall)
				boots++
				h.clock.boot = fmt.Sprintf("2f1c7a60-0000-4000-8000-%012d", boots)
				restart()
				w = watching{}
				if wall.Sub(since["power"]) >= aliveEvery+unobservedFrom {
					out = out || since["power"].Before(told)
					unsure = unsure || since["power"].Add(-aliveEvery).Before(told)
				}
				delete(since, "power")
				round()
			},
			"leave": func(rt *rapid.T) {
				n := rapid.IntRange(1, modelPupils).Draw(rt, "pupil")
				if s.class[n] == "" {
					return
				}
				l := attendance.Leave{Student: pupil(n), Kind: attendance.Sick, From: at(0, 0, 0), To: at(24, 0, 0), Approved: true}
				if _, err := h.gate.PutLeave(t.Context(), teacher, account.RoleClassTeacher, l, s.class[n], ""); err != nil {
					rt.Fatal(err)
				}
				excused[n] = true
			},
			"move": func(rt *rapid.T) {
				n := rapid.IntRange(1, modelPupils).Draw(rt, "pupil")
				s.class[n] = rapid.SampledFrom([]string{"2024-01", "2024-02", ""}).Draw(rt, "class")
			},
			"": func(*rapid.T) { check() },
		})
	})
}
