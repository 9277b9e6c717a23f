package frame

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/usage"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// Chip is one choice of a row of filters.
type Chip struct {
	Text, Href string
	On         bool
}

// CompareBool sorts false before true.
func CompareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// PlainPin takes a fingerprint in the ways that tools write it: in capitals, with colons or spaces.
func PlainPin(s string) string {
	return strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(s))
}

// FormRev is the revision of the row that a form was made from. One that carries none is taken for an old one.
func FormRev(f url.Values) uint64 {
	rev, err := strconv.ParseUint(f.Get("rev"), 10, 64)
	if err != nil || rev == 0 {
		return math.MaxUint64
	}
	return rev
}

// RecordChange is one change of a row of a register, as its page lists it.
type RecordChange struct {
	Seq             uint64
	When, Who, What string
	Fields          []ChangedField
	CanSee          bool
}

// ChangedField is a field of a RecordChange, before and after.
type ChangedField struct{ Name, Before, After string }

// What the page shows of the past.
const (
	FaultDays   = 90
	MostChanges = 20
	MostPast    = 10
)

// ListFilter is a choice above a list.
type ListFilter struct {
	Name    string
	Label   string
	Options []ui.Option
}

// ListColumn is a head of the table; Sort is "", "ascending" or "descending".
type ListColumn struct {
	Text, Href, Sort string
	Num              bool
}

// SortHeads are the heads of a list that the address sorts by one of some columns, the other way round when it begins
// with "-"; initial is the order by itself, prefix begins the keys of the texts.
func (c *Call) SortHeads(f url.Values, path, prefix, initial string, names []string) []ListColumn {
	now, down := strings.CutPrefix(cmp.Or(f.Get("sort"), initial), "-")
	out := make([]ListColumn, len(names))
	for i, name := range names {
		x, col := CloneValues(f), ListColumn{Text: c.P.T(prefix + name)}
		x.Del("page")
		x.Set("sort", name)
		switch {
		case name == now && down:
			col.Sort = "descending"
		case name == now:
			col.Sort = "ascending"
			x.Set("sort", "-"+name)
		}
		col.Href = path + "?" + x.Encode()
		out[i] = col
	}
	return out
}

// PerPage is how many cameras or faults are on one page of a list.
const PerPage = 25

// Pages is the foot of a list that has numbered pages.
type Pages struct {
	Text       string
	Prev, Next string
}

// PagesOf cuts n rows into pages. page counts from 1; a page beyond the last is the last.
func (c *Call) PagesOf(path string, f url.Values, n int) (from, to int, p Pages) {
	page, err := strconv.Atoi(f.Get("page"))
	last := max(1, (n+PerPage-1)/PerPage)
	if err != nil || page < 1 {
		page = 1
	}
	page = min(page, last)
	from, to = (page-1)*PerPage, min(page*PerPage, n)
	link := func(page int) string {
		x := CloneValues(f)
		x.Set("page", strconv.Itoa(page))
		return path + "?" + x.Encode()
	}
	if last == 1 {
		return from, to, Pages{}
	}
	p.Text = c.P.T("pages.of", from+1, to, n)
	if page > 1 {
		p.Prev = link(page - 1)
	}
	if page < last {
		p.Next = link(page + 1)
	}
	return from, to, p
}

// TestResultWord is the result of a test in words: a cause of gaps, or a trouble with the still picture.
func (c *Call) TestResultWord(code string) string {
	if code == "ok" {
		return c.P.T("try.ok")
	}
	if t, ok := strings.CutPrefix(code, "still."); ok {
		return c.P.K("trouble.", t)
	}
	return c.P.K("try.cause.", code)
}

// FormNumber reads a whole number that was typed; empty is what an empty field means.
func FormNumber(f url.Values, field string, empty int, errs *fielderr.Errors) int {
	s := strings.TrimSpace(f.Get(field))
	if s == "" {
		return empty
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		errs.Add(field, "err.number")
	}
	return n
}

// CloneValues copies the values of a form or an address.
func CloneValues(v url.Values) url.Values {
	out := url.Values{}
	for k, x := range v {
		out[k] = slices.Clone(x)
	}
	return out
}

// Decode reads the data of an entry; false when it is of another form.
func Decode(data json.RawMessage, into any) bool {
	return len(data) > 0 && json.Unmarshal(data, into) == nil
}

// Mark is a short statement with its tone.
type Mark struct{ Tone, Icon, Text string }

// FetchWords is how far a fetch is, in words.
func (c *Call) FetchWords(f usage.Fetching) (tone, icon, word, text string) {
	word = c.P.K("fetch.", f.State)
	switch f.State {
	case "running":
		tone, icon, text = "acc", "sync", c.P.T("fetch.percent", f.Percent)
	case "queued":
		tone, icon, text = "mute", "clock", c.P.T("fetch.queued.text")
		if f.Ahead > 0 {
			text = c.P.T("fetch.ahead", f.Ahead)
		}
	case "waiting":
		tone, icon, text = "warn", "clock", c.P.K("fetch.reason.", f.Reason)+c.P.T("sep.clause")+c.P.T("fetch.again", c.P.When(f.Next, c.Now.Wall))
	case "done":
		tone, icon, text = "ok", "ok", ""
	case "partial":
		tone, icon, text = "warn", "warn", c.P.K("fetch.reason.", f.Reason)
	default:
		tone, icon, text = "bad", "bad", c.P.K("fetch.reason.", f.Reason)
	}
	return tone, icon, word, text
}

// Bar is a piece of a row, in per cent of its width.
type Bar struct {
	X, W     string
	From, To float64
}

// End is the right edge.
func (b Bar) End() string { return ui.Pct(b.To) }

// AtLeast widens a bar that would be too thin to see or to hit.
func (b Bar) AtLeast(w float64) Bar {
	if b.To-b.From < w {
		b.From = min(b.From, 1-w)
		b.To = b.From + w
		b.X, b.W = ui.Pct(b.From), ui.Pct(w)
	}
	return b
}

// GapTone says how a cause is drawn: what nobody has explained, and a camera that is off now, is bad.
func GapTone(c footage.Cause) string {
	switch c {
	case footage.CauseUnknown, footage.CauseCameraOff, footage.CauseLost, footage.CauseDamaged, footage.CauseBreach:
		return "bad"
	case footage.CauseSetup:
		return "plan"
	}
	return ""
}

// legend lists the causes that the page explains; the rest are named where they appear.
var legend = []footage.Cause{footage.CauseBreach, footage.CauseFull, footage.CauseLost, footage.CauseDamaged, footage.CauseDisk, footage.CauseUnknown, footage.CausePowerOff, footage.CauseRestart, footage.CausePaused,
	footage.CauseCameraOff, footage.CauseNetwork, footage.CauseStalled, footage.CauseLogin, footage.CauseSignal, footage.CauseNoKey, footage.CauseNoSets, footage.CauseBadSets, footage.CauseFailed,
	footage.CauseOverload, footage.CauseClock, footage.CauseStart, footage.CauseSwitched}

// GapChar is the character of the cause of a gap.
func GapChar(p ui.Printer, cause footage.Cause) string {
	if k := "gap.char." + string(cause); ui.Has(k) {
		return p.T(k)
	}
	return p.T("gap.char.unknown")
}

// GapName is the cause of a gap in words.
func GapName(p ui.Printer, cause footage.Cause) string {
	if k := "gap." + string(cause); ui.Has(k) {
		return p.T(k)
	}
	return p.T("gap.unknown")
}

// SameDay says whether two instants lie on one day of the school.
func SameDay(a, b time.Time, zone *time.Location) bool {
	return a.In(zone).Format(time.DateOnly) == b.In(zone).Format(time.DateOnly)
}

// StateCell is one of the five of the state line.
type StateCell struct {
	Icon, Name       string
	Tone, Mark, Word string
	Value, Unit      string
	Text             string
	Ticks            []Bar  // one per camera
	Bad              []bool // of the ticks
	Fill             string // part of the bar
	FillTone         string
	LimitX           string // where thirty days end
	Needle           string
	Label            string
}

// Need is something that waits for a person: a row of the first page.
type Need struct {
	Tone, Icon, Badge string
	Kind, Title, Text string
	Due               string
	Href, Do          string
	Primary           bool
}

// Today is the school's date, as 2006-01-02.
func (c *Call) Today() string { return c.Now.Wall.In(c.o.d.Zone).Format(time.DateOnly) }

// WrongRetention are the cameras whose NVR does not keep their footage for as long as it should.
func (c *Call) WrongRetention(code footage.FaultCode) map[string]bool {
	out := map[string]bool{}
	for _, f := range c.o.d.Health.Faults() {
		if f.Code == code {
			out[f.Camera] = true
		}
	}
	return out
}

// Signed is a difference of time with its sign.
func Signed(p ui.Printer, d time.Duration) string {
	if d < 0 {
		return "−" + Uncertain(p, -d)
	}
	return "+" + Uncertain(p, d)
}

// Hours writes a sum of time as hours with one digit: what a month is counted in.
func (c *Call) Hours(d time.Duration) string {
	if d > 0 && d < 6*time.Minute {
		return c.P.Words(d)
	}
	return c.P.T("dur.hours", fmt.Sprintf("%.1f", d.Hours()))
}
