package pupils

import (
	"net/http"
	"time"

	"campuskeep/firmware/people"
	"campuskeep/shared/student"
)

// APIPupil is a pupil with class and cards, as JSON.
type APIPupil struct {
	student.Student
	Class string       `json:"class,omitempty"` // today's
	Left  student.Left `json:"left,omitempty"`
	Cards []APICard    `json:"cards"`
	Rev   uint64       `json:"rev"` // a change must carry it
}

// APICard is a card that was handed out; its number is not kept.
type APICard struct {
	ID      string    `json:"id"`
	Student string    `json:"student"`
	Tail    string    `json:"tail,omitempty"` // last digits of its number
	Since   time.Time `json:"since"`
	Lost    time.Time `json:"lost,omitzero"` // reported lost: refused
}

// APIPupils is a page of a list.
type APIPupils struct {
	Count  int        `json:"count"` // of all that were found
	Pupils []APIPupil `json:"pupils"`
	Next   string     `json:"next,omitempty"` // address of the next page
}

func (o *Pages) apiPupil(c *call, s people.Pupil) APIPupil {
	x := APIPupil{Student: s.Student, Class: s.Class, Left: s.Left, Cards: []APICard{}, Rev: s.Rev}
	for _, k := range o.d.People.CardsOf(s.ID) {
		x.Cards = append(x.Cards, APICard(k))
	}
	return x
}

func (o *Pages) apiPupils(c *call) error {
	f := c.R.URL.Query()
	rows := o.find(c, f)
	from, to, p := c.PagesOf("/api/v1/pupils", f, len(rows))
	out := APIPupils{Count: len(rows), Pupils: []APIPupil{}, Next: p.Next}
	for _, s := range rows[from:to] {
		out.Pupils = append(out.Pupils, o.apiPupil(c, s))
	}
	return c.JSON(http.StatusOK, out)
}

func (o *Pages) apiCards(c *call) error {
	f := c.R.URL.Query()
	rows := o.findCards(c, f)
	from, to, p := c.PagesOf("/api/v1/cards", f, len(rows))
	out := APICards{Count: len(rows), Cards: []APICard{}, Next: p.Next}
	for _, r := range rows[from:to] {
		out.Cards = append(out.Cards, APICard(r.K))
	}
	return c.JSON(http.StatusOK, out)
}

// APICards is a page of a list.
type APICards struct {
	Count int       `json:"count"`
	Cards []APICard `json:"cards"`
	Next  string    `json:"next,omitempty"`
}

// PupilForm are the fields of a pupil's form. Guardians have the numbers 1 to 4: guardian1_name and so on.
type PupilForm struct {
	Rev        uint64   `json:"rev,omitempty"`
	Name       string   `json:"name"`
	Sex        string   `json:"sex"`
	Birth      string   `json:"birth"`
	Ethnicity  string   `json:"ethnicity,omitempty"`
	IDKind     string   `json:"id_kind,omitempty"`
	IDNumber   string   `json:"id_number,omitempty"`
	NationalNo string   `json:"national_no,omitempty"`
	Address    string   `json:"address,omitempty"`
	Phone      string   `json:"phone,omitempty"`
	Class      string   `json:"class,omitempty"` // of a new pupil
	From       string   `json:"from,omitempty"`
	Card       string   `json:"card,omitempty"`
	G1Name     string   `json:"guardian1_name,omitempty"`
	G1Relation string   `json:"guardian1_relation,omitempty"`
	G1Phone    string   `json:"guardian1_phone,omitempty"`
	G1Work     string   `json:"guardian1_workplace,omitempty"`
	G1Priority string   `json:"guardian1_priority,omitempty"`
	G1Knows    []string `json:"guardian1_knows,omitempty"`
}

// MoveForm moves a pupil to a class, or lets them leave.
type MoveForm struct {
	Date  string `json:"date"`
	Class string `json:"class,omitempty"`
	Leave string `json:"leave,omitempty"`
}

// CardForm hands out a card.
type CardForm struct {
	Card     string `json:"card"`
	Replaces string `json:"replaces,omitempty"`
}

// CardChangeForm says what happened to a card: lost, found, ended.
type CardChangeForm struct {
	What string `json:"what"`
}

// ClassForm are the fields of a class's form. Teachers are numbered from 1: t1_person, t1_duty, t1_from, t1_to.
type ClassForm struct {
	Rev    uint64 `json:"rev,omitempty"`
	Stage  string `json:"stage,omitempty"`
	Entry  int    `json:"entry,omitempty"`
	No     int    `json:"no,omitempty"`
	Years  int    `json:"years,omitempty"`
	Person string `json:"t1_person,omitempty"`
	Duty   string `json:"t1_duty,omitempty"`
	From   string `json:"t1_from,omitempty"`
	To     string `json:"t1_to,omitempty"`
}
