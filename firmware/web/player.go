package web

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
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
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
	Ticks      []dayHour
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
	Thin   []bar       `json:"-"`
	Gone   []bar       `json:"-"`
}

type playerGap struct {
	From int64  `json:"from"` // ms UTC
	To   int64  `json:"to"`
	Text string `json:"text"`
}

func (o *Server) viewPage(c *call) error {
	v, ok := o.d.Viewings.Get(c.r.PathValue("id"))
	if !ok {
		if e, previous := o.d.Viewings.Ended(c.r.PathValue("id")); previous {
			w := o.outcomeOf(c.p, e.Opened, e.Reason)
			return c.pageStatus(http.StatusGone, "fault", w.Title, faultView{Title: w.Title, Text: w.Text, Href: w.Href, Link: w.Link})
		}
		return playback.ErrUnknown
	}
	o.d.Viewings.CancelEnd(v.ID)
	if waits, err := o.awaits(c, v); waits || err != nil {
		return err
	}
	_, offset := v.Span.From.In(o.d.Zone).Zone()
	pv := playerView{V: v, Live: v.Live(), Name: o.cameraName(v.Camera), Who: c.session.Person.Name, Role: c.session.Person.Unit, Where: c.address.String(),
		NowMs: c.now.Wall.UnixMilli(), FromMs: v.Span.From.UnixMilli(), Seconds: int64(v.Span.Duration() / time.Second), ZoneMin: offset / 60, Until: c.p.When(v.Until, c.now.Wall),
		CanApply: c.can(account.ActApplicationCreate, account.Subject{}), CanLog: c.can(account.ActLogProof, account.Subject{}),
		Still: c.can(account.ActFootageSnapshot, usage.StillSubject(v.Viewing)), PrettySpan: c.spanOf(v.Span), Speeds: speeds}
	pv.Marks = strings.Join([]string{strings.TrimSpace(pv.Who + " " + pv.Role), pv.Where, "№ " + strconv.FormatUint(v.Entry, 10)}, "|")
	pv.Ground = c.p.T("view.ground.duty")
	if v.Application != "" {
		pv.Ground = c.p.T("view.ground.grant", appNumber(v.Application))
	}
	if cam, ok := o.d.Site.Camera(v.Camera); ok && pv.CanApply {
		pv.Apply = "/applications/new?" + url.Values{"place": {cam.Place}, "from": {c.p.Input(v.Span.From)}, "to": {c.p.Input(v.Span.To)}}.Encode()
	}
	for _, k := range [][]string{{"play", "Space"}, {"jump", "←", "→"}, {"frame", ",", "."}, {"gap", "[", "]"}, {"speed", "-", "+"}, {"one", "1"}, {"goto", "G"}, {"still", "S"}, {"sound", "M"}, {"zoom", "Z", "X"}, {"full", "F"}, {"help", "?"}} {
		if pv.Live && !slices.Contains([]string{"play", "sound", "zoom", "full", "help"}, k[0]) || k[0] == "still" && !pv.Still {
			continue
		}
		pv.Keys = append(pv.Keys, keyHelp{k[1:], c.p.T("view.key." + k[0])})
	}
	if v.Live() {
		pv.PrettySpan, pv.Back = c.p.T("live.now"), "/live"
		pv.Ground = c.p.T("view.ground.live")
	} else {
		pv.Back = o.dayLink(v.Camera, v.Span.From)
		if err := o.scrub(c, &pv); err != nil {
			return err
		}
	}
	b, err := json.Marshal(pv.Parts)
	if err != nil {
		return fmt.Errorf("write what a viewing has: %w", err)
	}
	pv.PartsJSON = string(b)
	f := c.frame("view", c.p.T("view.title", pv.Name))
	f.Script = "player.js"
	return c.framed(http.StatusOK, "view", f, pv)
}

// spanOf is a span in words; one of less than ten minutes that does not begin and end with a minute has its seconds.
func (c *call) spanOf(s footage.Span) string {
	if s.Duration() >= 10*time.Minute || s.From.Second() == 0 && s.To.Second() == 0 {
		return c.p.Span(s.From, s.To)
	}
	return c.p.Day(s.From) + " " + c.p.ClockSec(s.From) + "–" + c.p.ClockSec(s.To)
}

// spanClock is when something was, to the second where it was short, within a viewing whose day is known.
func (c *call) spanClock(s footage.Span) string {
	if s.Duration() < 10*time.Minute {
		return c.p.ClockSec(s.From) + "–" + c.p.ClockSec(s.To)
	}
	return c.p.Clock(s.From) + "–" + c.p.Clock(s.To)
}

// scrub gathers what the viewing may show: where nothing is and why, where the clock was unsure, in which coding.
func (o *Server) scrub(c *call, pv *playerView) error {
	span := pv.V.Span
	sc := scale{span.From, span.To}
	step := 5 * time.Minute
	switch d := span.Duration(); {
	case d > 2*time.Hour:
		step = 30 * time.Minute
	case d > 45*time.Minute:
		step = 15 * time.Minute
	case d <= 10*time.Minute:
		step = time.Minute
	}
	var labels []label
	for t := span.From.Truncate(step).Add(step); t.Before(span.To); t = t.Add(step) {
		pv.Ticks = append(pv.Ticks, dayHour{X: sc.x(t), Label: c.p.Clock(t)})
		labels = append(labels, label{sc.at(t), sc.at(t), textPx("00:00"), []side{centre}})
	}
	for i, s := range place(labels, 300) { // on the narrowest phone some go without their time
		pv.Ticks[i].Edge = s.shown
	}
	segs, err := o.d.Watched.Segments(c.r.Context(), pv.V.Camera, span)
	if err != nil {
		return fmt.Errorf("read where footage of %s lies: %w", pv.V.Camera, err)
	}
	if err := o.gapCache.refresh(c.r.Context(), c.now.Wall); err != nil {
		return err
	}
	noted, thin := o.gapCache.of(pv.V.Camera, span)
	parts := &pv.Parts
	parts.Gaps, parts.Unsure, parts.Codecs = []playerGap{}, []playerGap{}, []string{}
	for _, h := range explain(noted, holes(merge(segs), span)) {
		parts.Gone = append(parts.Gone, sc.bar(h.Span).atLeast(0.002))
		parts.Gaps = append(parts.Gaps, playerGap{h.Span.From.UnixMilli(), h.Span.To.UnixMilli(), c.spanClock(h.Span) + " " + c.p.T("view.gap", gapName(c.p, h.Cause), h.Span.Duration())})
	}
	for _, t := range within(thin, span) {
		parts.Thin = append(parts.Thin, sc.bar(t))
	}
	for _, s := range segs {
		if s.Codec != "" && !slices.Contains(parts.Codecs, s.Codec) {
			parts.Codecs = append(parts.Codecs, s.Codec)
		}
		if s.Anchored {
			continue
		}
		text := c.p.T("view.unsure")
		if s.Uncertainty > 0 {
			text = c.p.T("view.unsure.by", s.Uncertainty)
		}
		if n := len(parts.Unsure); n > 0 && s.Span.From.UnixMilli()-parts.Unsure[n-1].To < runGap.Milliseconds() && parts.Unsure[n-1].Text == text {
			parts.Unsure[n-1].To = s.Span.To.UnixMilli()
			continue
		}
		parts.Unsure = append(parts.Unsure, playerGap{s.Span.From.UnixMilli(), s.Span.To.UnixMilli(), text})
	}
	return nil
}

// viewWhen reads an instant that somebody typed into the player: ms of UTC, or why not, with the way to it.
func (o *Server) viewWhen(c *call) error {
	v, ok := o.d.Viewings.Get(c.r.PathValue("id"))
	if !ok {
		return playback.ErrUnknown
	}
	var out struct {
		At   int64  `json:"at,omitempty"`
		Text string `json:"text,omitempty"`
		Href string `json:"href,omitempty"`
		Link string `json:"link,omitempty"`
	}
	at, ok := parseWhen(c.r.URL.Query().Get("text"), v.Span.From, c.now.Wall, o.d.Zone)
	switch {
	case !ok:
		out.Text = c.p.T("view.goto.unread")
	case !v.Span.Contains(at):
		out.Text, out.Href, out.Link = c.p.T("view.goto.outside", c.p.When(at, c.now.Wall), c.p.Span(v.Span.From, v.Span.To)), o.dayLink(v.Camera, at), c.p.T("view.goto.open")
	default:
		out.At = at.UnixMilli()
	}
	return c.json(http.StatusOK, out)
}

// audioOff takes the sound out of a viewing, for a browser that stops the pictures for it.
func (o *Server) audioOff(c *call) error {
	if err := o.d.Player.DisableAudio(c.r.PathValue("id")); err != nil {
		return err
	}
	c.send(http.StatusNoContent, nil)
	return nil
}

// stillSubject is what keeping one picture of a viewing is about.
func stillSubject(c *call) (account.Subject, error) {
	if v, ok := c.o.d.Viewings.Get(c.r.PathValue("id")); ok {
		return usage.StillSubject(v.Viewing), nil
	}
	return account.Subject{}, playback.ErrUnknown
}

// snapshot enters a still picture and only then lets the browser draw it: the answer carries its number, the lines
// that are burnt in, and the name of its file.
func (o *Server) snapshot(c *call) error {
	v, ok := o.d.Viewings.Get(c.r.PathValue("id"))
	if !ok {
		return playback.ErrUnknown
	}
	ms, err := strconv.ParseInt(c.r.PostForm.Get("at"), 10, 64)
	if err != nil || ms < 0 || ms > 1<<45 {
		return fielderr.Errors{{Field: "at", Rule: "err.time"}}
	}
	s, err := o.d.Usage.Snapshot(c.r.Context(), c.who(), v.ID, c.r.PostForm.Get("id"), time.UnixMilli(ms))
	if err != nil {
		return err
	}
	number := fmt.Sprintf("№ %d-%s", s.Entry, s.Code)
	return c.json(http.StatusOK, struct {
		usage.Still
		Number string   `json:"number"`
		File   string   `json:"file"`
		Lines  []string `json:"lines"`
		Mark   string   `json:"mark"`
	}{s, number,
		fmt.Sprintf("%s_%d-%s_%s_%s.png", o.d.Info.Appliance, s.Entry, s.Code, v.Camera, s.At.In(o.d.Zone).Format("20060102T150405")),
		[]string{
			o.d.Info.School + "  " + o.cameraName(v.Camera) + "  " + c.p.Stamp(s.At),
			c.p.T("still.by", strings.TrimSpace(c.session.Person.Name+" "+c.session.Person.Unit), c.p.Stamp(s.Taken), appNumber(v.Application)),
			c.p.T("still.seal", number),
		}, strings.Join([]string{c.session.Person.Name, c.p.Stamp(s.Taken), number}, "  ")})
}
