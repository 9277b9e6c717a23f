package readers

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/gate"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/reader"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/ui"
)

// listView is the register of card readers.
type listView struct {
	Form     ui.Form
	Rows     []row
	Filters  []frame.ListFilter
	Text     string
	CanEdit  bool
	CanPupil bool
	Any      bool
	Filtered bool
	Ports    []portRow
}

// row is one reader with its state.
type row struct {
	R                     site.Reader
	State                 string // code, for the filter
	Tone, Icon, Word, Why string
	Kind, Way, Line       string
	Technician            string
	Taps                  int
	Since                 time.Time // of the state; zero: not known
	SinceText, Last, Edge string
	Counts                reader.Counts
	Vendor                string
	Secure                bool // set in the state of the reader: inside the secure channel now
}

type portRow struct {
	Path, State, Tone, Icon string
	Readers                 []row
}

// allReaders says whether this person sees every reader, or those alone for which they are named.
func (c *call) allReaders() bool { return c.Can(account.ActReadersView, account.Subject{}) }

func (o *Pages) rows(c *call) (rows []row, err error) {
	b, err := o.d.Gate.Board(c.Today())
	if err != nil {
		return nil, fmt.Errorf("read the gate's board: %w", err)
	}
	today := map[string]gate.ReaderToday{}
	for _, t := range b.Readers {
		today[t.ID] = t
	}
	for _, r := range o.d.Site.Readers() {
		if c.allReaders() || r.Technician == c.Actor.ID {
			t, ok := today[r.ID]
			rows = append(rows, c.row(r, t, ok))
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		return frame.CompareBool(a.R.Retired, b.R.Retired)
	})
	return rows, nil
}

func (c *call) row(r site.Reader, t gate.ReaderToday, inService bool) row {
	v := row{R: r, Kind: c.P.T("reader.kind." + kindCode(r.Kind)), Way: c.P.T("reader.way." + string(r.Direction)), Technician: c.o.Name(r.Technician), Line: c.line(r), Taps: t.Taps}
	state, reason := string(t.State), t.Reason
	if s, ok := c.o.d.Readers.Status(r.ID); ok {
		state, reason, v.Since, v.Counts, v.Vendor, v.Secure = string(s.State), s.Reason, s.When, s.Counts, s.Vendor, s.Secure
	}
	switch {
	case r.Retired || !inService:
		v.State, v.Tone, v.Icon, v.Word = "retired", "mute", "clock", c.P.T("cam.retired")
		return v
	case state == string(reader.Online) && c.swapped(r.ID):
		v.State, v.Tone, v.Icon, reason = "online", "warn", "warn", "swapped"
	case state == string(reader.Online) && reason != reader.ReasonAnswers && reason != reader.ReasonUnwatched && reason != "":
		v.State, v.Tone, v.Icon = "online", "warn", "warn"
	case state == string(reader.Online):
		v.State, v.Tone, v.Icon = "online", "ok", "ok"
	case state == string(reader.Refused):
		v.State, v.Tone, v.Icon, v.Edge = "refused", "bad", "bad", "bad"
	default:
		v.State, v.Tone, v.Icon, v.Edge = "offline", "bad", "bad", "bad"
	}
	v.Word = c.P.K("reader.", v.State)
	if v.State != "online" || v.Tone == "warn" || reason == reader.ReasonUnwatched {
		v.Why = c.P.K("reader.", reason)
	}
	if !v.Since.IsZero() {
		v.SinceText = c.P.T("reader.since", c.P.When(v.Since, c.Now.Wall))
	}
	return v
}

// swapped says that another device answers in a reader's place than is known, and nobody has accepted it.
func (c *call) swapped(id string) bool {
	known, now := c.o.d.Site.ReaderDevice(id)
	return known != now
}

// line says in a few words how a reader is connected.
func (c *call) line(r site.Reader) string {
	switch r.Kind {
	case site.ReaderWiegand:
		return c.P.T("reader.line.wiegand", r.D0, r.D1, r.Format)
	case site.ReaderIclock:
		return c.P.T("reader.line.iclock", r.Serial, r.Host)
	case site.ReaderHikvision:
		return r.Host
	}
	return c.P.T("reader.line.osdp", r.Port, r.Address)
}

func kindCode(k site.ReaderKind) string {
	if k == site.ReaderOSDP {
		return "osdp"
	}
	return string(k)
}

func (o *Pages) listPage(c *call) error {
	f := c.R.URL.Query()
	all, err := o.rows(c)
	if err != nil {
		return err
	}
	v := listView{Form: ui.Form{Name: "readers", P: c.P, Values: f}, CanEdit: c.Can(account.ActReadersEdit, account.Subject{}),
		CanPupil: c.Can(account.ActPupilsEdit, account.Subject{}), Any: len(all) > 0}
	v.Filters = []frame.ListFilter{c.filter("state", all), c.filter("kind", all), c.filter("technician", all)}
	words := strings.Fields(strings.ToLower(f.Get("q")))
	for _, r := range all {
		text := strings.ToLower(strings.Join([]string{r.R.ID, r.R.Name, r.R.Place, r.Line, r.Technician}, "\n"))
		fits := !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
		for _, x := range v.Filters {
			want := f.Get(x.Name)
			fits = fits && (want == "" || r.value(x.Name) == strings.TrimPrefix(want, "-"))
			v.Filtered = v.Filtered || want != ""
		}
		if fits {
			v.Rows = append(v.Rows, r)
		}
	}
	v.Filtered = v.Filtered || len(words) > 0
	v.Text = c.P.T("readers.sub", len(all))
	if v.Filtered {
		v.Text = c.P.T("readers.found", len(v.Rows), len(all))
	}
	if v.CanEdit {
		v.Ports = c.ports(all)
	}
	return c.Page("readers", c.P.T("readers.title"), v)
}

func (r row) value(filter string) string {
	switch filter {
	case "state":
		return r.State
	case "kind":
		return kindCode(r.R.Kind)
	}
	return r.R.Technician
}

// filter offers what occurs.
func (c *call) filter(name string, rows []row) frame.ListFilter {
	f := frame.ListFilter{Name: name, Label: c.P.T("readers.by." + name), Options: []ui.Option{{Text: c.P.T("readers.by." + name)}}}
	seen := map[string]bool{}
	for _, r := range rows {
		v := r.value(name)
		text := map[string]string{"state": r.Word, "kind": r.Kind, "technician": r.Technician}[name]
		if seen[v] {
			continue
		}
		seen[v] = true
		if v == "" {
			v, text = "-", c.P.T("cameras.none_set")
		}
		f.Options = append(f.Options, ui.Option{Value: v, Text: text})
	}
	return f
}

// ports are the serial ports of this machine with the readers on them, so that a person sees what can be used.
func (c *call) ports(all []row) (out []portRow) {
	for _, p := range c.o.d.Readers.Ports() {
		x := portRow{Path: p.Path, Tone: "ok", Icon: "ok", State: c.P.T("readers.port.there")}
		if !p.Present {
			x.Tone, x.Icon, x.State = "bad", "bad", c.P.T("readers.port.gone")
		}
		for _, r := range all {
			if r.R.Kind == site.ReaderOSDP && r.R.Port == p.Path && !r.R.Retired {
				x.Readers = append(x.Readers, r)
			}
		}
		out = append(out, x)
	}
	return out
}

// export writes the register as a spreadsheet; keys and passwords are in no export.
func (o *Pages) export(c *call) error {
	rows, err := o.rows(c)
	if err != nil {
		return err
	}
	d := c.Who().Draft("reader.exported", c.Decision.Role, c.Actor.ID, map[string]any{"count": len(rows)})
	if _, err := o.d.Ledger.Commit(c.R.Context(), ledgerdb.Change{Entries: []ledger.Draft{d}}); err != nil {
		c.Unlogged = true
		return fmt.Errorf("enter that the register of readers was exported: %w", err)
	}
	lines := [][]string{{c.P.T("reader.f.id"), c.P.T("reader.f.name"), c.P.T("reader.f.place"), c.P.T("reader.f.direction"), c.P.T("reader.f.kind"), c.P.T("readers.h.line"), c.P.T("reader.f.technician"), c.P.T("state"), c.P.T("gate.taps")}}
	for _, r := range rows {
		lines = append(lines, []string{r.R.ID, r.R.Name, r.R.Place, r.Way, r.Kind, r.Line, r.Technician, r.Word, fmt.Sprint(r.Taps)})
	}
	return c.SendTable("readers-"+c.FileTime(), c.P.T("readers.title"), lines)
}

// lastEvents are the newest taps at a reader, without names: who may see them is decided on the gate's board.
func (c *call) lastEvents(ctx context.Context, id string) (out []lastEvent, err error) {
	page, err := c.o.d.Ledger.Search(ctx, ledgerdb.Query{Kinds: []ledger.Kind{"attendance.tap", "attendance.unknown", "reader.state", "reader.device", "reader.key", "reader.marks"}, About: []string{id}, Limit: 8})
	if err != nil {
		return nil, fmt.Errorf("look for what reader %s sent last: %w", id, err)
	}
	for _, e := range page.Entries {
		var d struct {
			Direction, State, Reason string
			Count                    int
		}
		frame.Decode(e.Data, &d)
		x := lastEvent{Seq: e.Seq, When: c.P.When(e.At, c.Now.Wall), Tone: "ok", Icon: "ok"}
		switch e.Kind {
		case "attendance.tap":
			x.Text = c.P.T("reader.last.tap." + string(tapWay(d.Direction)))
		case "attendance.unknown":
			x.Tone, x.Icon, x.Text = "warn", "warn", c.P.T("reader.last.unknown")
		case "reader.state":
			x.Text = c.P.K("reader.", d.State) + c.P.T("sep.clause") + c.P.K("reader.", d.Reason)
			if d.State != string(reader.Online) {
				x.Tone, x.Icon = "bad", "bad"
			}
		case "reader.key":
			x.Text = c.P.K("reader.key.", d.State)
		default:
			x.Tone, x.Icon, x.Text = "warn", "warn", c.P.K("kind.", e.Kind)+c.P.T("sep.clause")+c.P.K("reader.event.", d.Reason+d.State)
		}
		out = append(out, x)
	}
	return out, nil
}

func tapWay(s string) attendance.Direction {
	if d := attendance.Direction(s); d == attendance.In || d == attendance.Out {
		return d
	}
	return attendance.Auto
}

type lastEvent struct {
	Seq              uint64
	When             string
	Tone, Icon, Text string
}

// APIReader is a card reader with its state, as JSON.
type APIReader struct {
	site.Reader
	State  string    `json:"state"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"state_since,omitzero"`
	Taps   int       `json:"taps_today"`
	Reads  uint64    `json:"reads"` // since its line was opened
	Device string    `json:"device,omitempty"`
	// Of a network terminal: marks that came again, marks at times that are not believed, and its clock less ours.
	Repeats  uint64   `json:"repeats,omitempty"`
	Unsure   uint64   `json:"unsure,omitempty"`
	ClockOff *float64 `json:"clock_off_s,omitempty"`
}

func (r row) api(c *call) APIReader {
	out := APIReader{Reader: r.R, State: r.State, Since: r.Since, Taps: r.Taps, Reads: r.Counts.Reads, Device: r.Vendor, Repeats: r.Counts.Repeats, Unsure: r.Counts.Unsure}
	if r.Counts.Measured {
		off := r.Counts.Off.Seconds()
		out.ClockOff = &off
	}
	if s, ok := c.o.d.Readers.Status(r.R.ID); ok {
		out.Reason = s.Reason
	}
	return out
}

func (o *Pages) apiList(c *call) error {
	rows, err := o.rows(c)
	if err != nil {
		return err
	}
	out := []APIReader{}
	for _, r := range rows {
		out = append(out, r.api(c))
	}
	return c.JSON(http.StatusOK, out)
}

func (o *Pages) apiReader(c *call) error {
	r, err := c.one()
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, r.api(c))
}

// one is the reader that the address names.
func (c *call) one() (row, error) {
	rows, err := c.o.rows(c)
	if err != nil {
		return row{}, err
	}
	for _, r := range rows {
		if r.R.ID == c.R.PathValue("id") {
			return r, nil
		}
	}
	return row{}, frame.ErrNotFound
}
