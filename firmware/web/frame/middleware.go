package frame

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"campuskeep/firmware/people"
	"campuskeep/shared/account"
	weblib "campuskeep/shared/lib/web"
)

// CookieName binds the cookie to this host, path / and TLS (the browser enforces the prefix).
const CookieName = "__Host-ck"

// DeviceCookie says that this browser has logged somebody in before; it lets nobody in.
const DeviceCookie = "__Host-ck-device"

// ByItself is the header of requests that a page makes without a person: they keep no log-in alive.
const ByItself = "Ck-By-Itself"

// ReloadPage is the header of an answer to such a request that tells the page to load itself: what is at its address is
// another page now.
const ReloadPage = "Ck-Load-Anew"

// NewCall is a request that nobody is known for yet.
func (o *Server) NewCall(w http.ResponseWriter, r *http.Request) *Call {
	return &Call{o: o, W: w, R: r, Now: o.d.Clock.Now(), P: o.Pages.Printer(weblib.Language(r)), Address: weblib.Address(r)}
}

// Serve answers one request of a route: limits, session, May, handler.
func (o *Server) Serve(rt Route, w http.ResponseWriter, r *http.Request) {
	c := o.NewCall(w, r)
	c.Action = rt.Action
	limit := o.ByAddress
	if rt.Media {
		limit = o.byMedia
	}
	if !limit.Allow(c.Address, c.Now.Mono) {
		w.Header().Set("Retry-After", "10")
		c.Fault(http.StatusTooManyRequests, "fault.too_many", nil)
		return
	}
	most := rt.Body
	if most == 0 {
		most = weblib.FormBody
	}
	r.Body = http.MaxBytesReader(w, r.Body, most)
	if !rt.Stream {
		// A browser that reads slowly must not hold a handler for ever.
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			c.fail(fmt.Errorf("set the deadline of an answer: %w", err))
			return
		}
	}
	if err := c.known(rt); err != nil {
		c.fail(err)
		return
	}
	if r.Method == http.MethodPost {
		if err := r.ParseForm(); err != nil {
			if !isTooLarge(err) {
				c.Fault(http.StatusBadRequest, "fault.form", nil)
				return
			}
			c.fail(err)
			return
		}
	}
	if err := c.allow(rt); err != nil {
		c.fail(err)
		return
	}
	if err := rt.Handle(c); err != nil {
		c.fail(err)
	}
}

// known finds who asks, by the session cookie; nobody is no fault yet. Streams, footage and what a page fetches by
// itself are no use of the log-in: idle is who touches nothing.
func (c *Call) known(rt Route) error {
	k, err := c.R.Cookie(CookieName)
	if err != nil {
		return nil
	}
	s, err := c.o.d.People.Session(c.R.Context(), k.Value, !rt.Stream && !rt.Media && c.R.Header.Get(ByItself) == "")
	if errors.Is(err, people.ErrNoSession) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up the session: %w", err)
	}
	c.Session, c.Actor = s, c.o.d.Usage.Present(s.Actor, c.Now)
	return nil
}

// allow asks May. Who is not logged in is led to the log-in page; who is refused gets 403 and an entry.
func (c *Call) allow(rt Route) error {
	if rt.Action != account.ActPublic && c.Actor.ID == "" {
		return errNoSession
	}
	if c.Session.MustPassword && rt.Action != account.ActPublic && rt.Action != account.ActSelf {
		return errMustPassword // one that somebody else knows, or that is too old, gives nothing but the way to a new one
	}
	if rt.Subject != nil {
		s, err := rt.Subject(c)
		if err != nil {
			return err
		}
		c.Subject = s
	}
	if rt.Action == account.ActPublic {
		return nil
	}
	d, err := c.o.d.Usage.Allow(c.R.Context(), c.Who(), rt.Action, c.Subject)
	if _, refused := errors.AsType[*account.Refused](err); err != nil && !refused {
		c.Unlogged = true // refused, and the refusal could not be entered
	}
	c.Decision = d
	return err
}
