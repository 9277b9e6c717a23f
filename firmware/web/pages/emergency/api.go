package emergency

import (
	"net/http"
	"time"

	rules "campuskeep/shared/emergency"
)

// APITaken says that a statement is stored.
type APITaken struct {
	Taken bool `json:"taken"`
}

// APIEvent is one event in the list.
type APIEvent struct {
	ID      string         `json:"id"`
	Kind    rules.Kind     `json:"kind"`
	Drill   bool           `json:"drill"`
	Name    string         `json:"name"`
	Opened  time.Time      `json:"opened"`
	Open    bool           `json:"open"`
	Undone  bool           `json:"undone,omitempty"`
	Classes []string       `json:"classes"`
	Closed  *rules.Closing `json:"closed,omitempty"`
}

// APICounts are the live counts of an event.
type APICounts struct {
	APIEvent
	Seconds int              `json:"seconds"`
	Count   rules.Count      `json:"count"`
	By      []APIClassCount  `json:"by_class"`
	Missing []APIMissing     `json:"missing"`
	Record  *rules.Record    `json:"record,omitempty"`
	Unknown []APIUnknownName `json:"unknown"`
}

// APIClassCount is one class in an event.
type APIClassCount struct {
	Class    string      `json:"class"`
	Count    rules.Count `json:"count"`
	Answered bool        `json:"answered"`
	Done     bool        `json:"done"`
}

// APIMissing is a pupil who is looked for.
type APIMissing struct {
	Student   string           `json:"student"`
	Name      string           `json:"name"`
	Class     string           `json:"class"`
	LastTap   time.Time        `json:"last_tap,omitzero"`
	Reader    string           `json:"reader,omitempty"`
	Conflicts []rules.Conflict `json:"conflicts,omitempty"`
	Clue      string           `json:"clue,omitempty"`
}

// APIUnknownName is a name that fits no pupil.
type APIUnknownName struct {
	Text  string      `json:"text"`
	By    string      `json:"by"`
	State rules.State `json:"state"`
}

// APIRoll is one class of an event.
type APIRoll struct {
	Class  string      `json:"class"`
	Count  rules.Count `json:"count"`
	Text   string      `json:"text"` // the counts in words
	Done   string      `json:"done,omitempty"`
	Pupils []APIPupil  `json:"pupils"`
}

// APIPupil is one pupil on a roll.
type APIPupil struct {
	Student   string         `json:"student"`
	Name      string         `json:"name"`
	Presence  rules.Presence `json:"presence"`
	State     rules.State    `json:"state,omitempty"`
	Expected  bool           `json:"expected"`
	Note      string         `json:"note,omitempty"`
	Detail    string         `json:"detail,omitempty"` // who else saw the pupil
	Conflicts []string       `json:"conflicts,omitempty"`
}

func (c *call) apiEvent(e rules.Event) APIEvent {
	return APIEvent{ID: e.ID, Kind: e.Kind, Drill: e.Drill, Name: c.eventName(e), Opened: e.Opened.At, Open: e.Open(), Undone: e.Undone != nil, Classes: e.Classes, Closed: e.Closed}
}

func (o *Pages) apiEvents(c *call) error {
	out := []APIEvent{}
	for _, e := range o.d.Emergency.Events() {
		out = append(out, c.apiEvent(e))
	}
	return c.JSON(http.StatusOK, out)
}

func (o *Pages) apiEvent(c *call) error {
	b, err := o.d.Emergency.Board(c.R.PathValue("id"))
	if err != nil {
		return notFound(err)
	}
	out := APICounts{APIEvent: c.apiEvent(b.Event), Seconds: int(b.Since / time.Second), Count: b.Count, By: []APIClassCount{}, Missing: []APIMissing{}, Unknown: []APIUnknownName{}}
	for _, x := range b.Classes {
		out.By = append(out.By, APIClassCount{x.Class, x.Count, x.Answered(), x.Done != nil})
	}
	for _, p := range b.With(rules.Missing) {
		out.Missing = append(out.Missing, APIMissing{p.Student, o.d.People.Name(p.Student), p.Class, p.LastTap, p.Reader, p.Standing.Conflicts, p.Standing.Note})
	}
	for _, s := range b.Unknown {
		out.Unknown = append(out.Unknown, APIUnknownName{s.Note, s.By, s.State})
	}
	if b.Event.Version > 0 {
		out.Record = &b.Event.Record
	}
	return c.JSON(http.StatusOK, out)
}

func (o *Pages) apiClass(c *call) error {
	v, err := o.roll(c)
	if err != nil {
		return err
	}
	b, err := o.d.Emergency.Board(v.ID, v.Class)
	if err != nil {
		return notFound(err)
	}
	cb, _ := b.Class(v.Class)
	out := APIRoll{Class: v.Class, Count: cb.Count, Text: c.P.T("em.roll.counted", cb.Count.Expected-cb.Count.Open, cb.Count.Expected), Done: v.Done, Pupils: []APIPupil{}}
	for i, p := range cb.Pupils {
		r := o.pupilRow(c, b.Event, v.Class, i, p, nil)
		out.Pupils = append(out.Pupils, APIPupil{p.Student, r.Name, p.Presence, p.Standing.State, p.Expected, p.Standing.Note, r.Detail, r.Conflicts})
	}
	return c.JSON(http.StatusOK, out)
}
