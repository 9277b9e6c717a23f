package readers

import (
	"fmt"
	"net/http"
	"strconv"

	"campuskeep/firmware/reader"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
)

// readerView is the page of one reader.
type readerView struct {
	Row     row
	Rev     uint64
	Facts   []fact
	Last    []lastEvent
	CanEdit bool
	CanLog  bool
	Test    *testView
	Time    string
	Secure  *secureView // of an OSDP reader, for who may change it
	Calls   *callsView  // of a terminal that calls, for who may change it
	Swapped []fact      // another device answers than is known; nil: it is the known one
}

type fact struct{ Name, Text string }

// testView waits for the next card at the reader, and says what it was.
type testView struct {
	Waits  bool
	Seen   []fact
	Known  bool
	Again  string // address of the next test
	Signal string
}

func (o *Pages) readerPage(c *call) error { return o.showReader(c, http.StatusOK, nil, nil) }

func (o *Pages) showReader(c *call, status int, test *testView, errs fielderr.Errors) error {
	return o.showReaderWith(c, status, test, errs, "")
}

// showReaderWith is showReader with an access code that was just made: it is shown this once.
func (o *Pages) showReaderWith(c *call, status int, test *testView, errs fielderr.Errors, token string) error {
	rev := o.d.Site.ReaderRev(c.R.PathValue("id"))
	r, err := c.one()
	if err != nil {
		return err
	}
	v := readerView{Row: r, Rev: rev, Test: test, CanEdit: c.Can(account.ActReadersEdit, account.Subject{}), CanLog: c.Can(account.ActLogSearch, account.Subject{}), Time: c.P.ClockSec(c.Now.Wall)}
	for _, f := range []fact{{"id", r.R.ID}, {"place", r.R.Place}, {"direction", r.Way}, {"kind", r.Kind}, {"line", r.Line}, {"technician", r.Technician}, {"device", r.Vendor}} {
		if f.Text != "" {
			v.Facts = append(v.Facts, fact{c.P.T("reader.f." + f.Name), f.Text})
		}
	}
	if r.Counts != (reader.Counts{}) {
		n := r.Counts
		if terminal(r.R) {
			v.Facts = append(v.Facts, fact{c.P.T("reader.counts"), c.P.T("reader.counts.terminal", n.Reads, n.Repeats, n.Old, n.Malformed, n.Ignored)})
			if n.Unsure > 0 {
				v.Facts = append(v.Facts, fact{c.P.T("reader.unsure"), c.P.T("reader.unsure.text", n.Unsure)})
			}
		} else {
			v.Facts = append(v.Facts, fact{c.P.T("reader.counts"), c.P.T("reader.counts.text", n.Reads, n.Malformed, n.Timeouts)})
		}
		if n.Measured {
			v.Facts = append(v.Facts, fact{c.P.T("reader.off"), c.offText(n.Off)})
		}
	}
	if v.Last, err = c.lastEvents(c.R.Context(), r.R.ID); err != nil {
		return err
	}
	if v.CanEdit && r.R.Kind == site.ReaderOSDP {
		if v.Secure, err = c.secure(r.R, r.Secure, errs); err != nil {
			return err
		}
	}
	if v.CanEdit && r.R.Kind == site.ReaderIclock {
		if v.Calls, err = c.calls(r.R.ID, token); err != nil {
			return err
		}
	}
	if known, now := o.d.Site.ReaderDevice(r.R.ID); known != now {
		v.Swapped = []fact{{c.P.T("reader.swapped.known"), known}, {c.P.T("reader.swapped.now"), now}}
	}
	return c.PageStatus(status, "reader", r.R.Name, v)
}

// testPage waits for the next card at this reader. The card counts at the gate like any other.
func (o *Pages) testPage(c *call) error {
	id := c.R.PathValue("id")
	after, err := strconv.ParseUint(c.R.URL.Query().Get("after"), 10, 64)
	if err != nil {
		return c.SeeOther(fmt.Sprintf("/readers/%s/test?after=%d#test", id, o.d.Cards.Number()))
	}
	t := &testView{Waits: true, Again: "/readers/" + id + "/test"}
	if s, ok := o.d.Cards.After(id, after); ok {
		t.Waits = false
		_, _, t.Known = o.d.People.ByCard(s.Card().Hash(o.d.People.CardKey()))
		t.Seen = c.seen(s)
	}
	return o.showReader(c, http.StatusOK, t, nil)
}

// seen says what is safe to show of a card: how long its number is and how it ends.
func (c *call) seen(s reader.Seen) []fact {
	out := []fact{{c.P.T("reader.test.when"), c.P.ClockSec(s.When)}, {c.P.T("reader.test.bits"), strconv.Itoa(s.Bits)},
		{c.P.T("reader.test.tail"), "…" + s.Card().Tail()}}
	return out
}

// Needs are readers that do not work, for the person who is named for them.
func (o *Pages) Needs(fc *frame.Call) (out []frame.Need, err error) {
	c := &call{fc, o}
	named := false
	for _, r := range o.d.Site.Readers() {
		named = named || !r.Retired && r.Technician != "" && r.Technician == c.Actor.ID
	}
	if !named {
		return nil, nil
	}
	rows, err := o.rows(c)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if r.R.Technician != c.Actor.ID || r.R.Retired || r.Tone == "ok" {
			continue
		}
		n := frame.Need{Tone: r.Tone, Icon: r.Icon, Badge: r.Word, Kind: c.P.T("need.device"), Title: c.P.T("need.reader.fault", r.R.Name), Text: r.Why, Href: "/readers/" + r.R.ID, Do: c.P.T("see")}
		if r.SinceText != "" {
			n.Text += c.P.T("sep.clause") + r.SinceText
		}
		out = append(out, n)
	}
	return out, nil
}
