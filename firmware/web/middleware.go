package web

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"campuskeep/firmware/people"
	"campuskeep/shared/account"
	weblib "campuskeep/shared/lib/web"
)

// cookieName binds the cookie to this host, path / and TLS (the browser enforces the prefix).
const cookieName = "__Host-ck"

// deviceCookie says that this browser has logged somebody in before; it lets nobody in.
const deviceCookie = "__Host-ck-device"

// byItself is the header of requests that a page makes without a person: they keep no log-in alive.
const byItself = "Ck-By-Itself"

// reloadPage is the header of an answer to such a request that tells the page to load itself: what is at its address is
// another page now.
const reloadPage = "Ck-Load-Anew"

// serve answers one request of a route: limits, session, May, handler.
func (o *Server) serve(rt route, w http.ResponseWriter, r *http.Request) {
	c := &call{o: o, w: w, r: r, action: rt.action, now: o.d.Clock.Now(), p: o.pages.Printer(weblib.Language(r)), address: weblib.Address(r)}
	limit := o.byAddress
	if rt.media {
		limit = o.byMedia
	}
	if !limit.Allow(c.address, c.now.Mono) {
		w.Header().Set("Retry-After", "10")
		c.fault(http.StatusTooManyRequests, "fault.too_many", nil)
		return
	}
	most := rt.body
	if most == 0 {
		most = weblib.FormBody
	}
	r.Body = http.MaxBytesReader(w, r.Body, most)
	if !rt.stream {
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
				c.fault(http.StatusBadRequest, "fault.form", nil)
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
	if err := rt.handle(c); err != nil {
		c.fail(err)
	}
}

// known finds who asks, by the session cookie; nobody is no fault yet. Streams, footage and what a page fetches by
// itself are no use of the log-in: idle is who touches nothing.
func (c *call) known(rt route) error {
	k, err := c.r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	s, err := c.o.d.People.Session(c.r.Context(), k.Value, !rt.stream && !rt.media && c.r.Header.Get(byItself) == "")
	if errors.Is(err, people.ErrNoSession) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up the session: %w", err)
	}
	c.session, c.actor = s, c.o.d.Usage.Present(s.Actor, c.now)
	return nil
}

// allow asks May. Who is not logged in is led to the log-in page; who is refused gets 403 and an entry.
func (c *call) allow(rt route) error {
	if rt.action != account.ActPublic && c.actor.ID == "" {
		return errNoSession
	}
	if c.session.MustPassword && rt.action != account.ActPublic && rt.action != account.ActSelf {
		return errMustPassword // one that somebody else knows, or that is too old, gives nothing but the way to a new one
	}
	if rt.subject != nil {
		s, err := rt.subject(c)
		if err != nil {
			return err
		}
		c.subject = s
	}
	if rt.action == account.ActPublic {
		return nil
	}
	d, err := c.o.d.Usage.Allow(c.r.Context(), c.who(), rt.action, c.subject)
	if _, refused := errors.AsType[*account.Refused](err); err != nil && !refused {
		c.unlogged = true // refused, and the refusal could not be entered
	}
	c.decision = d
	return err
}
