package emergency

import (
	"slices"
	"time"

	rules "campuskeep/shared/emergency"
)

// Board is an event at one moment: the counts of the school and of each class, and who is where.
type Board struct {
	Event   rules.Event
	Since   time.Duration // since it was opened; until it was closed
	Full    time.Duration // after which everybody was accounted for; 0: not yet
	Count   rules.Count
	Classes []ClassBoard
	Beyond  []PupilBoard      // pupils of classes that the event does not cover, whom somebody named
	Unknown []rules.Statement // names that fit no pupil, or several; in Note
	Course  []rules.Statement // of the whole event: what was stated of single pupils, and who reported, the latest first
}

// ClassBoard is one class in an event.
type ClassBoard struct {
	Class  string
	Head   string
	Count  rules.Count
	Done   *time.Duration // when it reported to the control
	DoneBy string
	Opened *time.Duration // when somebody first looked at its roll
	Last   time.Duration  // of what was stated about it
	Pupils []PupilBoard
}

// Answered says whether anything was stated on behalf of the class.
func (c ClassBoard) Answered() bool { return c.Done != nil || c.Count.Open < c.Count.Expected }

// PupilBoard is one pupil in an event.
type PupilBoard struct {
	rules.Pupil
	Class    string
	Expected bool
	Standing rules.Standing
}

func (b Board) pupils() []PupilBoard {
	var out []PupilBoard
	for _, c := range b.Classes {
		out = append(out, c.Pupils...)
	}
	return append(out, b.Beyond...)
}

// With lists the pupils of whom a state is what counts.
func (b Board) With(s rules.State) []PupilBoard {
	return slices.DeleteFunc(b.pupils(), func(p PupilBoard) bool { return p.Standing.State != s })
}

// Contradictory lists the pupils with a contradiction that needs a person.
func (b Board) Contradictory() []PupilBoard {
	return slices.DeleteFunc(b.pupils(), func(p PupilBoard) bool { return !slices.ContainsFunc(p.Standing.Conflicts, rules.Conflict.Open) })
}

// Class by id.
func (b Board) Class(id string) (ClassBoard, bool) {
	for _, c := range b.Classes {
		if c.Class == id {
			return c, true
		}
	}
	return ClassBoard{}, false
}

// courseLength is how much of the course is shown beside the counts.
const courseLength = 12

// Board reads an event as it is now, or only some classes of it. Error: ErrNotFound.
func (r *Register) Board(id string, only ...string) (Board, error) {
	now := r.o.Clock.Now()
	r.mu.Lock() // find may read the statements of a closed event
	defer r.mu.Unlock()
	e, err := r.find(id)
	if err != nil {
		return Board{}, err
	}
	b := Board{Event: e.copy(), Since: e.Opened.Since(now, e.latest)}
	if e.Closed != nil {
		b.Since = e.Closed.After
	}
	on := map[string]bool{}
	last := time.Duration(0)
	for _, x := range e.rolls {
		if len(only) > 0 && !slices.Contains(only, x.Class) {
			continue
		}
		c := ClassBoard{Class: x.Class, Head: x.Head}
		if at, ok := e.opened[x.Class]; ok {
			c.Opened = &at
		}
		for _, p := range x.Pupils {
			on[p.Student] = true
			pb := e.pupil(p, x.Class)
			c.Count.Add(p, pb.Standing)
			c.Last = max(c.Last, pb.Standing.Said)
			c.Pupils = append(c.Pupils, pb)
		}
		if d, ok := e.done[x.Class]; ok {
			c.Done, c.DoneBy = &d.Said, d.By
			c.Last = max(c.Last, d.Said)
		}
		last = max(last, c.Last)
		b.Count.Plus(c.Count)
		b.Classes = append(b.Classes, c)
	}
	for student := range e.said {
		if !on[student] && len(only) == 0 {
			b.Beyond = append(b.Beyond, e.pupil(rules.Pupil{Student: student, Presence: rules.Away}, r.o.People.ClassOf(student, r.today())))
		}
	}
	slices.SortFunc(b.Beyond, func(x, y PupilBoard) int { return number(x.Student) - number(y.Student) })
	for _, s := range e.unknown {
		if s.State != rules.Withdrawn {
			b.Unknown = append(b.Unknown, s.Statement)
		}
	}
	if b.Count.Expected > 0 && b.Count.Complete() {
		b.Full = last
	}
	if len(only) == 0 {
		b.Course = e.course(b)
	}
	return b, nil
}

func (e *event) pupil(p rules.Pupil, class string) PupilBoard {
	list := e.said[p.Student]
	all := make([]rules.Statement, len(list))
	for i, s := range list {
		all[i] = s.Statement
	}
	pb := PupilBoard{Pupil: p, Class: class, Standing: rules.Resolve(p, class, all)}
	pb.Expected = rules.Expected(p, pb.Standing)
	return pb
}

// course gathers what is worth telling: searches in vain, injuries, pupils with others, classes that reported.
func (e *event) course(b Board) (out []rules.Statement) {
	home := map[string]string{}
	for _, p := range b.pupils() {
		home[p.Student] = p.Class
	}
	for student, list := range e.said {
		for _, s := range list {
			if s.State != rules.Safe || s.Class != home[student] {
				out = append(out, s.Statement)
			}
		}
	}
	for _, s := range e.unknown {
		out = append(out, s.Statement)
	}
	for _, d := range e.done {
		out = append(out, rules.Statement{Class: d.Class, By: d.By, Said: d.Said})
	}
	slices.SortFunc(out, func(x, y rules.Statement) int { return int(min(max(y.Said-x.Said, -1), 1)) })
	return out[:min(len(out), courseLength)]
}

// Said is what one person stated last about the pupils, by student: what their own page shows as chosen.
func (r *Register) Said(id, person string) (map[string]rules.Statement, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, err := r.find(id)
	if err != nil {
		return nil, err
	}
	out := map[string]rules.Statement{}
	for student, list := range e.said {
		for _, s := range slices.Backward(list) {
			if s.By == person {
				if s.State != rules.Withdrawn {
					out[student] = s.Statement
				}
				break
			}
		}
	}
	return out, nil
}
