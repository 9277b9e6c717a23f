package iclock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"campuskeep/firmware/reader"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
)

// What a terminal may do: 20 requests a second after 60 at once, bodies of 1 MiB.
const (
	ratePerSecond = 20
	rateBurst     = 60
	maxBody       = 1 << 20
	maxDrained    = 8 << 20 // of tables that are not taken; pictures are among them
)

// bucket is a rate limit.
type bucket struct {
	left float64
	at   time.Duration
	used bool
}

func (b *bucket) take(now time.Duration) bool {
	if !b.used {
		b.left, b.used = rateBurst, true
	} else {
		b.left = min(rateBurst, b.left+ratePerSecond*(now-b.at).Seconds())
	}
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// answer serves one request of a terminal. Who is no terminal of the register gets no answer that says anything.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	now := s.o.Clock.Now()
	if now.State != clock.Trusted {
		w.Header()["Date"] = nil // some terminals set their clock by it
	}
	token, call, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/iclock/")
	if !ok || len(token) > 64 {
		http.NotFound(w, r)
		return
	}
	q := query(r.URL.RawQuery)
	t := s.find(token, q["SN"], addressOf(r.RemoteAddr))
	if t == nil {
		http.NotFound(w, r)
		return
	}
	t.mu.Lock()
	t.counts.Polls++
	if t.refusing == reader.ReasonToken || t.refusing == reader.ReasonNoToken || t.refusing == reader.ReasonSerial {
		t.refusing = "" // the others end with a delivery that is stored
	}
	slow := !t.rate.take(now.Mono)
	t.mu.Unlock()
	if slow {
		s.hold(t)
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many requests", http.StatusTooManyRequests)
		return
	}
	if !s.know(r.Context(), t) {
		s.hold(t)
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	switch strings.TrimSuffix(call, ".aspx") {
	case "cdata":
		s.cdata(w, r, t, q)
	case "getrequest":
		if v := vendorOf(q["INFO"]); v != "" {
			t.mu.Lock()
			t.status.Vendor = v
			t.mu.Unlock()
		}
		s.showState(t)
		say(w, "OK") // no command, ever
	case "devicecmd", "ping":
		s.drain(w, r, t)
	default:
		http.NotFound(w, r)
	}
}

// query reads parameters as terminals write them: later ones do not replace earlier ones, and what is not understood is
// left out.
func query(raw string) map[string]string {
	out := map[string]string{}
	for p := range strings.SplitSeq(raw, "&") {
		k, v, _ := strings.Cut(p, "=")
		k, err := url.QueryUnescape(k)
		if err != nil {
			continue
		}
		v, err = url.QueryUnescape(v)
		if _, known := out[k]; err == nil && !known {
			out[k] = v
		}
	}
	return out
}

func say(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Length", fmt.Sprint(len(text)))
	io.WriteString(w, text) // a terminal that is gone asks again
}

// know reads what is kept of a terminal, once.
func (s *Server) know(ctx context.Context, t *terminal) bool {
	t.mu.Lock()
	known := t.known
	t.mu.Unlock()
	if known {
		return true
	}
	k, err := s.o.Marks.Terminal(ctx, t.ID, t.Serial)
	if err != nil {
		s.o.Log.Error("what is known of a terminal cannot be read", "reader", t.ID, "err", err)
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known, t.clock, t.stamp, t.saved = !k.Clock.First.IsZero(), k.Clock.State, k.Stamp, k.Stamp
	return true
}

// busy says that nothing is taken now; the terminal keeps its marks.
func (s *Server) busy(w http.ResponseWriter, t *terminal) {
	s.hold(t)
	s.refuse(t, reader.ReasonStore)
	w.Header().Set("Retry-After", "30")
	http.Error(w, "not stored", http.StatusServiceUnavailable)
}

// hold notes that a delivery failed: marks may be late for that reason.
func (s *Server) hold(t *terminal) {
	now := s.o.Clock.Now().Mono
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = now
}

// drain takes what is not needed, and counts it. What is cut off at the bound is acknowledged as well, or the terminal
// would send it for ever.
func (s *Server) drain(w http.ResponseWriter, r *http.Request, t *terminal) {
	var n lineCounter
	io.Copy(&n, io.LimitReader(r.Body, maxDrained)) // of what breaks off nothing is needed either
	t.mu.Lock()
	t.counts.Ignored += uint64(n.lines())
	t.mu.Unlock()
	s.showState(t)
	say(w, fmt.Sprintf("OK: %d", n.lines()))
}

// body reads what a terminal sends; false when it was answered.
func (s *Server) body(w http.ResponseWriter, r *http.Request, t *terminal) ([]byte, bool) {
	var b bytes.Buffer
	_, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	if big := (*http.MaxBytesError)(nil); errors.As(err, &big) {
		s.tooBig(w, t)
		return nil, false
	}
	if err != nil { // it broke off: nothing of it counts
		s.hold(t)
		http.Error(w, "broken off", http.StatusBadRequest)
		return nil, false
	}
	return b.Bytes(), true
}

func (s *Server) tooBig(w http.ResponseWriter, t *terminal) {
	s.o.Log.Error("a terminal sends more at once than is taken; set it to send less", "reader", t.ID, "bytes", maxBody, "lines", maxLines)
	s.hold(t)
	s.refuse(t, reader.ReasonTooBig)
	http.Error(w, "too big", http.StatusRequestEntityTooLarge)
}

// cdata is where a terminal asks how to work, and leaves its tables.
func (s *Server) cdata(w http.ResponseWriter, r *http.Request, t *terminal, q map[string]string) {
	if r.Method == http.MethodGet {
		t.mu.Lock()
		stamp := t.stamp
		t.mu.Unlock()
		s.showState(t)
		say(w, options(t.Serial, stamp, q["pushver"]))
		return
	}
	if r.Method != http.MethodPost {
		http.Error(w, "GET or POST", http.StatusMethodNotAllowed)
		return
	}
	if !strings.EqualFold(q["table"], "ATTLOG") {
		s.drain(w, r, t)
		return
	}
	select { // a terminal that sends twice waits for itself
	case t.at <- struct{}{}:
		defer func() { <-t.at }()
	case <-r.Context().Done():
		s.hold(t)
		return
	}
	body, ok := s.body(w, r, t)
	if !ok {
		return
	}
	lines, bad, err := parseAttLog(body, s.o.Zone)
	if err != nil {
		s.tooBig(w, t)
		return
	}
	if err := s.take(r.Context(), t, lines, bad); err != nil {
		s.o.Log.Error("marks of a terminal are not stored; it keeps them", "reader", t.ID, "marks", len(lines), "err", err)
		s.busy(w, t)
		return
	}
	if stamp := stampOf(q["Stamp"]); stamp != "" {
		t.mu.Lock()
		t.stamp = stamp
		t.mu.Unlock()
	}
	s.showState(t)
	say(w, fmt.Sprintf("OK: %d", len(lines)+bad))
}

// take makes marks durable. Once begun it does not end with the connection.
func (s *Server) take(ctx context.Context, t *terminal, lines []attLine, bad int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeWithin)
	defer cancel()
	now := s.o.Clock.Now()
	t.mu.Lock()
	held := t.failed != 0 && now.Mono-t.failed < heldFor
	failed := now.Wall.Add(t.failed - now.Mono)
	t.mu.Unlock()
	reads := make([]reader.CardRead, len(lines))
	for i, l := range lines {
		card := attendance.UserNumber(l.User)
		// Held: made around the time at which a delivery failed, or while it was tried again.
		reads[i] = reader.CardRead{Reader: t.ID, Bits: card.Bits, UID: card.Raw, At: now.Mono,
			Mark: &reader.Mark{Key: l.key(), Said: l.Said, Held: held && l.Said.After(failed.Add(-heldFor))}}
	}
	got, err := s.o.Marks.TakeMarks(ctx, t.ID, t.Serial, reads)
	if err == nil && bad > 0 {
		err = s.o.Marks.Report(ctx, t.ID, reader.MarksBad, bad, 0, 0)
	}
	if err != nil {
		return err
	}
	t.mu.Lock()
	c := &t.counts
	c.Reads += uint64(got.Taken)
	c.Malformed += uint64(bad)
	c.Repeats += uint64(got.Repeats)
	c.Old += uint64(got.Old)
	c.Unsure += uint64(got.Unsure)
	t.clock, t.refusing = got.Clock.State, ""
	if got.Clock.State != attendance.ClockUnproven {
		c.Off, c.Measured = got.Clock.Off, true
	}
	t.mu.Unlock()
	if len(got.Fresh) > 0 && s.o.OnFresh != nil {
		s.o.OnFresh(got.Fresh)
	}
	return nil
}
