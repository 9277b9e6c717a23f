package player

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/playback"
	"campuskeep/firmware/usage"
	"campuskeep/firmware/viewing"
	"campuskeep/firmware/web/frame"
	"campuskeep/firmware/web/timeline"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// playerView is the player with its log line.
type playerView struct {
	V          viewing.Opened
	Live       bool
	Name       string // of the camera
	Who, Role  string
	Where      string
	Ground     string
	Marks      string // the lines that are written over the picture, with | between
	NowMs      int64  // the clock that the marks show
	FromMs     int64
	Seconds    int64
	ZoneMin    int
	Ticks      []timeline.DayHour
	Parts      playerParts
	PartsJSON  string // for the script
	Until      string
	CanApply   bool
	CanLog     bool
	Still      bool // single pictures may be kept
	Apply      string
	Back       string
	PrettySpan string
	Speeds     []speed
	Keys       []keyHelp
	Follows    bool        // shows the instant that another screen shows
	Beside     *playerView // the one that follows this one
	Others     []ui.Option // cameras that could
}

type speed struct {
	Value, Text string
	On          bool
}

// speeds are those that every browser plays: they refuse less than a sixteenth and more than sixteen.
var speeds = []speed{{"0.125", "⅛×", false}, {"0.25", "¼×", false}, {"0.5", "½×", false}, {"1", "1×", true}, {"2", "2×", false}, {"4", "4×", false}, {"8", "8×", false}, {"16", "16×", false}}

type keyHelp struct {
	Keys []string
	Text string
}

// playerParts is what there is of the span, for the strip under the picture and for its script.
type playerParts struct {
	Gaps   []playerGap `json:"gaps"`
	Unsure []playerGap `json:"unsure"` // recorded while the clock could not be placed
	Codecs []string    `json:"codecs"`
	Thin   []frame.Bar `json:"-"`
	Gone   []frame.Bar `json:"-"`
}

type playerGap struct {
	From int64  `json:"from"` // ms UTC
	To   int64  `json:"to"`
	Text string `json:"text"`
}

func (o *Pages) viewPage(c *call) error {
	v, ok := o.d.Viewings.Get(c.R.PathValue("id"))
	if !ok {
		if e, previous := o.d.Viewings.Ended(c.R.PathValue("id")); previous {
			w := o.outcomeOf(c.P, e.Opened, e.Reason)
			return c.PageStatus(http.StatusGone, "fault", w.Title, frame.FaultView{Title: w.Title, Text: w.Text, Href: w.Href, Link: w.Link})
		}
		return playback.ErrUnknown
	}
	o.d.Viewings.CancelEnd(v.ID)
	if waits, err := o.awaits(c, v); waits || err != nil {
		return err
	}
	other, beside := o.besideOf(c, v)
	if beside {
		o.d.Viewings.CancelEnd(other.ID)
		if waits, err := o.awaits(c, other); waits || err != nil {
			return err
		}
	}
	pv, err := o.playerOf(c, v)
	if err != nil {
		return err
	}
	if beside {
		second, err := o.playerOf(c, other)
		if err != nil {
			return err
		}
		second.Follows, pv.Beside = true, &second
	} else if !pv.Live {
		pv.Others = o.others(c, v)
	}
	f := c.Frame("view", c.P.T("view.title", pv.Name))
	f.Script = "player.js"
	return c.Framed(http.StatusOK, "view", f, pv)
}

// playerOf is all that a screen and its controls show of a viewing.
func (o *Pages) playerOf(c *call, v viewing.Opened) (pv playerView, err error) {
	_, offset := v.Span.From.In(o.d.Zone).Zone()
	pv = playerView{V: v, Live: v.Live(), Name: o.CameraName(v.Camera), Who: c.Session.Person.Name, Role: c.Session.Person.Unit, Where: c.Address.String(),
		NowMs: c.Now.Wall.UnixMilli(), FromMs: v.Span.From.UnixMilli(), Seconds: int64(v.Span.Duration() / time.Second), ZoneMin: offset / 60, Until: c.P.When(v.Until, c.Now.Wall),
		CanApply: c.Can(account.ActApplicationCreate, account.Subject{}), CanLog: c.Can(account.ActLogProof, account.Subject{}),
		Still: c.Can(account.ActFootageSnapshot, usage.StillSubject(v.Viewing)), PrettySpan: c.spanOf(v.Span), Speeds: speeds}
	pv.Marks = strings.Join([]string{strings.TrimSpace(pv.Who + " " + pv.Role), pv.Where, c.P.T("entry.no", v.Entry)}, "|")
	pv.Ground = c.P.T("view.ground.duty")
	if v.Application != "" {
		pv.Ground = c.P.T("view.ground.grant", frame.AppNumber(v.Application))
	}
	if cam, ok := o.d.Site.Camera(v.Camera); ok && pv.CanApply {
		pv.Apply = "/applications/new?" + url.Values{"place": {cam.Place}, "from": {c.P.Input(v.Span.From)}, "to": {c.P.Input(v.Span.To)}}.Encode()
	}
	for _, k := range [][]string{{"play", "Space"}, {"jump", "←", "→"}, {"frame", ",", "."}, {"gap", "[", "]"}, {"speed", "-", "+"}, {"one", "1"}, {"goto", "G"}, {"still", "S"}, {"sound", "M"}, {"zoom", "Z", "X"}, {"full", "F"}, {"help", "?"}} {
		if pv.Live && !slices.Contains([]string{"play", "sound", "zoom", "full", "help"}, k[0]) || k[0] == "still" && !pv.Still {
			continue
		}
		pv.Keys = append(pv.Keys, keyHelp{k[1:], c.P.T("view.key." + k[0])})
	}
	if v.Live() {
		pv.PrettySpan, pv.Back = c.P.T("live.now"), "/live"
		pv.Ground = c.P.T("view.ground.live")
	} else {
		pv.Back = o.DayLink(v.Camera, v.Span.From)
		if err := o.scrub(c, &pv); err != nil {
			return pv, err
		}
	}
	b, err := json.Marshal(pv.Parts)
	if err != nil {
		return pv, fmt.Errorf("write what a viewing has: %w", err)
	}
	pv.PartsJSON = string(b)
	return pv, nil
}

// spanOf is a span in words; one of less than ten minutes that does not begin and end with a minute has its seconds.
func (c *call) spanOf(s footage.Span) string {
	if s.Duration() >= 10*time.Minute || s.From.Second() == 0 && s.To.Second() == 0 {
		return c.P.Span(s.From, s.To)
	}
	return c.P.Day(s.From) + " " + c.P.ClockSec(s.From) + "–" + c.P.ClockSec(s.To)
}

// spanClock is when something was, to the second where it was short, within a viewing whose day is known.
func (c *call) spanClock(s footage.Span) string {
	if s.Duration() < 10*time.Minute {
		return c.P.ClockSec(s.From) + "–" + c.P.ClockSec(s.To)
	}
	return c.P.Clock(s.From) + "–" + c.P.Clock(s.To)
}

// scrub gathers what the viewing may show: where nothing is and why, where the clock was unsure, in which coding.
func (o *Pages) scrub(c *call, pv *playerView) error {
	span := pv.V.Span
	sc := timeline.Scale{From: span.From, To: span.To}
	step := 5 * time.Minute
	switch d := span.Duration(); {
	case d > 2*time.Hour:
		step = 30 * time.Minute
	case d > 45*time.Minute:
		step = 15 * time.Minute
	case d <= 10*time.Minute:
		step = time.Minute
	}
	var labels []timeline.Label
	for t := span.From.Truncate(step).Add(step); t.Before(span.To); t = t.Add(step) {
		pv.Ticks = append(pv.Ticks, timeline.DayHour{X: sc.X(t), Label: c.P.Clock(t)})
		labels = append(labels, timeline.Label{From: sc.At(t), To: sc.At(t), Width: timeline.TextPx("00:00"), Sides: []timeline.Side{timeline.Centre}})
	}
	for i, s := range timeline.Place(labels, 300) { // on the narrowest phone some go without their time
		pv.Ticks[i].Edge = s.Visible
	}
	has, err := o.present(c, pv.V)
	if err != nil {
		return err
	}
	segs, thin := has.segments, has.thin
	parts := &pv.Parts
	parts.Gaps, parts.Unsure, parts.Codecs = []playerGap{}, []playerGap{}, []string{}
	for _, h := range has.holes {
		parts.Gone = append(parts.Gone, sc.Bar(h.Span).AtLeast(0.002))
		parts.Gaps = append(parts.Gaps, playerGap{h.Span.From.UnixMilli(), h.Span.To.UnixMilli(), c.spanClock(h.Span) + " " + c.P.T("view.gap", frame.GapName(c.P, h.Cause), h.Span.Duration())})
	}
	for _, t := range timeline.Within(thin, span) {
		parts.Thin = append(parts.Thin, sc.Bar(t))
	}
	for _, s := range segs {
		if s.Codec != "" && !slices.Contains(parts.Codecs, s.Codec) {
			parts.Codecs = append(parts.Codecs, s.Codec)
		}
		if s.Anchored {
			continue
		}
		text := c.P.T("view.unsure")
		if s.Uncertainty > 0 {
			text = c.P.T("view.unsure.by", s.Uncertainty)
		}
		if n := len(parts.Unsure); n > 0 && s.Span.From.UnixMilli()-parts.Unsure[n-1].To < timeline.RunGap.Milliseconds() && parts.Unsure[n-1].Text == text {
			parts.Unsure[n-1].To = s.Span.To.UnixMilli()
			continue
		}
		parts.Unsure = append(parts.Unsure, playerGap{s.Span.From.UnixMilli(), s.Span.To.UnixMilli(), text})
	}
	return nil
}

// presence is what there is of a viewing's span.
type presence struct {
	segments []footage.Placed
	holes    []footage.Piece
	thin     []footage.Span // recorded from the sub-stream
}

func (o *Pages) present(c *call, v viewing.Opened) (p presence, err error) {
	if p.segments, err = o.d.Watched.Segments(c.R.Context(), v.Camera, v.Span); err != nil {
		return p, fmt.Errorf("read where footage of %s lies: %w", v.Camera, err)
	}
	if err = o.GapCache.Refresh(c.R.Context(), c.Now.Wall); err != nil {
		return p, err
	}
	noted, thin := o.GapCache.Of(v.Camera, v.Span)
	p.holes, p.thin = timeline.Explain(noted, timeline.Holes(timeline.Merge(p.segments), v.Span)), thin
	return p, nil
}

// viewWhen reads an instant that somebody typed into the player: ms of UTC, or why not, with the way to it.
func (o *Pages) viewWhen(c *call) error {
	v, ok := o.d.Viewings.Get(c.R.PathValue("id"))
	if !ok {
		return playback.ErrUnknown
	}
	var out struct {
		At   int64  `json:"at,omitempty"`
		Text string `json:"text,omitempty"`
		Href string `json:"href,omitempty"`
		Link string `json:"link,omitempty"`
	}
	at, ok := timeline.ParseWhen(c.R.URL.Query().Get("text"), v.Span.From, c.Now.Wall, o.d.Zone)
	switch {
	case !ok:
		out.Text = c.P.T("view.goto.unread")
	case !v.Span.Contains(at):
		out.Text, out.Href, out.Link = c.P.T("view.goto.outside", c.P.When(at, c.Now.Wall), c.P.Span(v.Span.From, v.Span.To)), o.DayLink(v.Camera, at), c.P.T("view.goto.open")
	default:
		out.At = at.UnixMilli()
	}
	return c.JSON(http.StatusOK, out)
}

// audioOff takes the sound out of a viewing, for a browser that stops the pictures for it.
func (o *Pages) audioOff(c *call) error {
	if err := o.d.Player.DisableAudio(c.R.PathValue("id")); err != nil {
		return err
	}
	c.Send(http.StatusNoContent, nil)
	return nil
}

// stillSubject is what keeping one picture of a viewing is about.
func stillSubject(c *call) (account.Subject, error) {
	if v, ok := c.o.d.Viewings.Get(c.R.PathValue("id")); ok {
		return usage.StillSubject(v.Viewing), nil
	}
	return account.Subject{}, playback.ErrUnknown
}

// snapshot enters a still picture and only then lets the browser draw it: the answer carries its number, the lines
// that are burnt in, and the name of its file.
func (o *Pages) snapshot(c *call) error {
	v, ok := o.d.Viewings.Get(c.R.PathValue("id"))
	if !ok {
		return playback.ErrUnknown
	}
	ms, err := strconv.ParseInt(c.R.PostForm.Get("at"), 10, 64)
	if err != nil || ms < 0 || ms > 1<<45 {
		return fielderr.Errors{{Field: "at", Rule: "err.time"}}
	}
	s, err := o.d.Usage.Snapshot(c.R.Context(), c.Who(), v.ID, c.R.PostForm.Get("id"), time.UnixMilli(ms))
	if err != nil {
		return err
	}
	number := c.P.T("still.number", s.Entry, s.Code)
	return c.JSON(http.StatusOK, struct {
		usage.Still
		Number string   `json:"number"`
		File   string   `json:"file"`
		Lines  []string `json:"lines"`
		Mark   string   `json:"mark"`
	}{s, number,
		fmt.Sprintf("%s_%d-%s_%s_%s.png", o.d.Info.Appliance, s.Entry, s.Code, v.Camera, s.At.In(o.d.Zone).Format("20060102T150405")),
		[]string{
			o.d.Info.School + "  " + o.CameraName(v.Camera) + "  " + c.P.Stamp(s.At),
			c.P.T("still.by", strings.TrimSpace(c.Session.Person.Name+" "+c.Session.Person.Unit), c.P.Stamp(s.Taken), frame.AppNumber(v.Application)),
			c.P.T("still.seal", number),
		}, strings.Join([]string{c.Session.Person.Name, c.P.Stamp(s.Taken), number}, "  ")})
}
