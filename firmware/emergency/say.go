package emergency

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	rules "campuskeep/shared/emergency"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/student"
)

// Batch is what a phone sends at once. ID is the phone's own name for it: a batch that is sent again is taken once.
type Batch struct {
	ID    string
	Class string        // the roll; empty: pupils who are with the sender
	Age   time.Duration // since the button was pressed, by the phone's own measure
	Marks []Mark
	Done  bool // the class reports to the control
	// Settle lets the control decide: what was stated about these pupils before counts no more.
	Settle bool
}

// Mark is one statement. A name without a student is kept as it was written when it fits no pupil, or several.
type Mark struct {
	Student string      `json:"student,omitempty"`
	Name    string      `json:"name,omitempty"`
	State   rules.State `json:"state"`
	Note    string      `json:"note,omitempty"`
}

// Say takes what somebody states. It returns only when all of it is durable; sending the same batch again is no error
// and changes nothing. The caller has asked account.May. Errors: ErrNotFound, fielderr.Errors.
func (r *Register) Say(ctx context.Context, by account.Who, role account.Role, id string, b Batch) error {
	if err := b.check().Err(); err != nil {
		return err
	}
	sum, err := digest(by.ID, b)
	if err != nil {
		return err
	}
	free, known, err := r.reserve(ctx, id, b.ID, sum)
	if err != nil || known {
		return err
	}
	defer free()
	for range mostTries {
		err = r.say(ctx, by, role, id, b, sum)
		if !errors.Is(err, ledgerdb.ErrConflict) || ctx.Err() != nil {
			break
		}
	}
	return err
}

// mostTries is how often a batch is tried while the event itself changes: it was closed, or its record written.
const mostTries = 20

func (b Batch) check() fielderr.Errors {
	var errs fielderr.Errors
	if !rules.CheckBatch(b.ID) {
		errs.Add("batch", "err.emergency_batch")
	}
	if len(b.Marks) == 0 && !b.Done {
		errs.Add("marks", "err.required")
	}
	if len(b.Marks) > rules.MostBatch {
		errs.Add("marks", "err.too_many", rules.MostBatch)
	}
	for i, m := range b.Marks {
		if !slices.Contains(rules.States, m.State) {
			errs.Add("marks", "err.choice")
		}
		if m.Student == "" && strings.TrimSpace(m.Name) == "" {
			errs.Add("name", "err.required")
		}
		rules.Text(&errs, "name", m.Name, rules.MostTitle, false)
		rules.Text(&errs, "note", m.Note, rules.MostNote, false)
		if m.Student != "" && slices.ContainsFunc(b.Marks[:i], func(o Mark) bool { return o.Student == m.Student }) {
			errs.Add("marks", "err.choice")
		}
	}
	return errs
}

func digest(by string, b Batch) (string, error) {
	x, err := json.Marshal(struct {
		By, Class    string
		Marks        []Mark
		Done, Settle bool
	}{by, b.Class, b.Marks, b.Done, b.Settle})
	if err != nil {
		return "", fmt.Errorf("read a batch: %w", err)
	}
	sum := sha256.Sum256(x)
	return hex.EncodeToString(sum[:16]), nil
}

// reserve lets one request at a time commit a batch. known says that it is stored already.
func (r *Register) reserve(ctx context.Context, id, batch, sum string) (free func(), known bool, err error) {
	key := id + "/" + batch
	for {
		r.mu.Lock()
		e, err := r.find(id)
		if err != nil {
			r.mu.Unlock()
			return nil, false, err
		}
		if e.Undone != nil {
			r.mu.Unlock()
			return nil, false, fielderr.Errors{{Field: "event", Rule: "err.emergency_undone"}}
		}
		if had, ok := e.batches[batch]; ok {
			r.mu.Unlock()
			if had != sum {
				return nil, false, fielderr.Errors{{Field: "batch", Rule: "err.emergency_batch"}}
			}
			return nil, true, nil
		}
		wait := r.inFlight[key]
		if wait == nil {
			done := make(chan struct{})
			r.inFlight[key] = done
			r.mu.Unlock()
			return func() {
				r.mu.Lock()
				delete(r.inFlight, key)
				r.mu.Unlock()
				close(done)
			}, false, nil
		}
		r.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// say commits a batch against the event as it is now.
func (r *Register) say(ctx context.Context, by account.Who, role account.Role, id string, b Batch, sum string) error {
	now := r.o.Clock.Now()
	r.mu.RLock()
	e := r.events[id]
	rev, late := e.rev, e.Closed != nil
	at := rules.SaidAt(e.Opened.Since(now, e.latest), b.Age)
	list, err := r.statements(e, by.ID, b)
	r.mu.RUnlock()
	if err != nil || len(list) == 0 && !b.Done {
		return err
	}
	ch := ledgerdb.Change{Require: []ledgerdb.Require{events.Require(id, rev)}, Puts: []ledgerdb.Put{batches.PutRev(id+"/"+b.ID, batchRow{b.ID, sum}, 0)}}
	count := map[rules.State]int{}
	for i := range list {
		s := &list[i]
		s.By, s.Class, s.Settled, s.Said, s.Batch, s.Late = by.ID, b.Class, b.Settle, at, b.ID, late
		count[s.State]++
		ch.Puts = append(ch.Puts, statements.PutRev(fmt.Sprintf("%s/%s/%03d", id, b.ID, i), said{id, *s}, 0))
	}
	ch.Entries = append(ch.Entries, batchEntry(by, role, id, b, list, count))
	for _, s := range list {
		if s.Student != "" && s.Note != "" { // what is said of one pupil goes with the pupil
			ch.Entries = append(ch.Entries, by.Draft("emergency.pupil", role, s.Student, map[string]any{"event": id}, part("statement", studentOwner(s.Student), s)))
		}
	}
	if b.Done {
		ch.Puts = append(ch.Puts, dones.Put(id+"/"+b.Class, done{b.Class, by.ID, at}))
	}
	rc, err := r.commit(ctx, "take statements", ch)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e.batches[b.ID] = sum
	for i, s := range list {
		e.take(statement{s, rc.Revs[1+i]})
	}
	classes := []string{b.Class}
	for _, s := range list {
		if s.Student != "" {
			classes = append(classes, r.o.People.ClassOf(s.Student, r.today()))
		}
	}
	if b.Done {
		e.done[b.Class] = done{b.Class, by.ID, at}
	}
	e.latest = max(e.latest, at)
	r.wake(classes...)
	return nil
}

func batchEntry(by account.Who, role account.Role, id string, b Batch, list []rules.Statement, count map[rules.State]int) ledger.Draft {
	data := map[string]any{"done": b.Done}
	if b.Class != "" {
		data["class"] = b.Class
	}
	if b.Settle {
		data["settled"] = true
	}
	for _, s := range rules.States {
		if count[s] > 0 {
			data[string(s)] = count[s]
		}
	}
	type short struct {
		Student string      `json:"student,omitempty"`
		State   rules.State `json:"state"`
		Name    string      `json:"name,omitempty"`
	}
	marks := make([]short, len(list))
	for i, s := range list {
		marks[i] = short{Student: s.Student, State: s.State}
		if s.Student == "" {
			marks[i].Name = s.Note
		}
	}
	return by.Draft("emergency.count", role, id, data, part("marks", eventOwner(id), marks))
}

// statements checks the pupils of a batch. What says only what the same person said last is left out. The caller holds
// mu.
func (r *Register) statements(e *event, by string, b Batch) ([]rules.Statement, error) {
	var out []rules.Statement
	for _, m := range b.Marks {
		s := rules.Statement{Student: m.Student, State: m.State, Note: strings.TrimSpace(m.Note)}
		switch {
		case m.Student == "":
			name := strings.TrimSpace(m.Name)
			if s.Student = r.byName(name); s.Student == "" {
				s.Note = strings.TrimSpace(name + " " + s.Note)
			}
		case b.Class != "" && !e.has(b.Class, m.Student):
			return nil, fielderr.Errors{{Field: "marks", Rule: "err.emergency_roll"}}
		default:
			if _, ok := r.o.People.Student(m.Student); !ok {
				return nil, fielderr.Errors{{Field: "marks", Rule: "err.emergency_roll"}}
			}
		}
		if s.Student != "" && !b.Settle && e.says(by, b.Class, s) {
			continue
		}
		out = append(out, s)
	}
	return out, nil
}

// byName is the one pupil of that name in the school; empty when there is none, or several.
func (r *Register) byName(name string) string {
	found := ""
	for _, s := range r.o.People.FindStudents(name, 50) {
		if s.Name != name || r.o.People.ClassOf(s.ID, r.today()) == "" {
			continue
		}
		if found != "" {
			return ""
		}
		found = s.ID
	}
	return found
}

// has says whether a pupil is on the roll of a class.
func (e *event) has(class, student string) bool {
	for _, x := range e.rolls {
		if x.Class == class {
			return slices.ContainsFunc(x.Pupils, func(p rules.Pupil) bool { return p.Student == student })
		}
	}
	return false
}

// says tells whether the last statement of a person about a pupil is the same.
func (e *event) says(by, class string, n rules.Statement) bool {
	for _, s := range slices.Backward(e.said[n.Student]) {
		if s.By == by {
			return s.State == n.State && s.Note == n.Note && s.Class == class
		}
	}
	return n.State == rules.Withdrawn // nothing to take back
}

// Viewed notes that somebody opened the roll of a class; it is kept in memory alone.
func (r *Register) Viewed(id, class string) {
	now := r.o.Clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.events[id]
	if e == nil || !e.loaded || !e.Open() {
		return
	}
	if _, ok := e.opened[class]; !ok {
		e.opened[class] = e.Opened.Since(now, e.latest)
		r.wake(class)
	}
}

// Search finds pupils of the school by part of their name or number, for the time of an event alone; each search is an
// entry before it answers. The caller has asked account.May. Errors: ErrNotFound, fielderr.Errors.
func (r *Register) Search(ctx context.Context, by account.Who, role account.Role, id, text string, limit int) ([]student.Student, error) {
	e, ok := r.Event(id)
	text = strings.TrimSpace(text)
	var errs fielderr.Errors
	rules.Text(&errs, "q", text, rules.MostTitle, true)
	switch {
	case !ok:
		return nil, ErrNotFound
	case !e.Open():
		errs.Add("q", "err.emergency_closed")
	}
	if err := errs.Err(); err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(r.o.People.FindStudents(text, 200), func(s student.Student) bool { return r.o.People.ClassOf(s.ID, r.today()) == "" })
	found = found[:min(len(found), limit)]
	_, err := r.commit(ctx, "enter a search", ledgerdb.Change{Entries: []ledger.Draft{by.Draft("emergency.search", role, id, map[string]any{"count": len(found)},
		ledger.Part{Name: "query", Owner: eventOwner(id), Plain: []byte(text)})}})
	return found, err
}
