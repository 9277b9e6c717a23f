package school

// PlaceForm are the fields of a place's form.
type PlaceForm struct {
	Rev     uint64   `json:"rev,omitempty"`
	ID      string   `json:"id,omitempty"`
	Name    string   `json:"name"`
	Kind    string   `json:"kind,omitempty"`
	Cameras []string `json:"cameras,omitempty"`
}

// CalendarForm are the fields of the calendar's form: the first row of each list, and so on with .1, .2 …
type CalendarForm struct {
	Rev         uint64 `json:"rev"`
	TermName    string `json:"terms.0.name,omitempty"`
	TermFrom    string `json:"terms.0.from,omitempty"`
	TermTo      string `json:"terms.0.to,omitempty"`
	HolidayName string `json:"holidays.0.name,omitempty"`
	HolidayFrom string `json:"holidays.0.from,omitempty"`
	HolidayTo   string `json:"holidays.0.to,omitempty"`
	MakeUpDate  string `json:"make_ups.0.date,omitempty"`
	MakeUpAs    string `json:"make_ups.0.as,omitempty"`
}

// BellsForm are the fields of a set of bell times: times as 08:00, the others in minutes.
type BellsForm struct {
	Rev         uint64 `json:"rev"`
	Opens       string `json:"opens"`
	Bell        string `json:"bell"`
	Home        string `json:"home"`
	Closes      string `json:"closes"`
	Grace       int    `json:"grace"`
	Slack       int    `json:"slack"`
	AskTeacher  int    `json:"ask_teacher"`
	TellParents int    `json:"tell_parents"`
	Repeat      int    `json:"repeat"`
	TapOut      string `json:"tap_out"` // in_out, in
	Grades      []int  `json:"grades,omitempty"`
}
