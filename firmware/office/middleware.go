package office

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"campuskeep/firmware/people"
	"campuskeep/shared/account"
	"campuskeep/shared/ui"
)

// policy is the content policy of every answer: own files only, no inline script or style, no frames.
// blob: is for the media source of the player, data: for the empty icon.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Strict-Transport-Security", "max-age=31536000")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), display-capture=()")
	h.Set("Cache-Control", "no-store")
}

// guard stands before all routes: TLS, headers, cross-origin requests, caps, recovery.
func (o *Office) guard(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	inner := cross.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
				o.d.Log.Error("request panicked", "path", r.Pattern, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			}
		}()
		switch {
		case r.TLS == nil:
			http.Error(w, "this page answers only over TLS: use https://", http.StatusMisdirectedRequest)
		case strings.HasPrefix(r.URL.Path, ui.AssetPath):
			o.assets.ServeHTTP(w, r)
		default:
			inner.ServeHTTP(w, r)
		}
	})
}

// cookieName binds the cookie to this host, path / and TLS (the browser enforces the prefix).
const cookieName = "__Host-ck"

// serve answers one request of a route: limits, session, May, handler.
func (o *Office) serve(rt route, w http.ResponseWriter, r *http.Request) {
	c := &call{o: o, w: w, r: r, now: o.d.Clock.Now(), p: o.pages.Printer(language(r))}
	if a, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.address = a.Addr().Unmap()
	}
	limit := o.byAddress
	if rt.media {
		limit = o.byMedia
	}
	if !limit.allow(c.address, c.now.Mono) {
		w.Header().Set("Retry-After", "10")
		c.fault(http.StatusTooManyRequests, "fault.too_many", nil)
		return
	}
	most := rt.body
	if most == 0 {
		most = formBody
	}
	r.Body = http.MaxBytesReader(w, r.Body, most)
	if !rt.stream {
		// A browser that reads slowly must not hold a handler for ever.
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			c.fail(fmt.Errorf("setting the deadline of an answer: %w", err))
			return
		}
	}
	if err := c.known(); err != nil {
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

// known finds who asks, by the session cookie; nobody is no fault yet.
func (c *call) known() error {
	k, err := c.r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	s, err := c.o.d.People.Session(c.r.Context(), k.Value)
	if errors.Is(err, people.ErrNoSession) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking up the session: %w", err)
	}
	c.session, c.actor = s, s.Actor
	c.actor.OnShift = c.o.shifts.has(s.Actor.ID, c.now.Mono)
	c.actor.Grants = c.o.d.Register.Grants(s.Actor.ID, c.now.Wall)
	return nil
}

// allow asks May. Who is not logged in is led to the log-in page; who is refused gets 403 and an entry.
func (c *call) allow(rt route) error {
	if rt.action != account.ActPublic && c.actor.ID == "" {
		return errNoSession
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
	d, err := c.o.d.Register.Allow(c.r.Context(), c.who(), rt.action, c.subject)
	if _, refused := errors.AsType[*account.Refused](err); err != nil && !refused {
		c.unlogged = true // refused, and the refusal could not be entered
	}
	c.decision = d
	return err
}

func language(r *http.Request) ui.Lang {
	if k, err := r.Cookie("lang"); err == nil {
		if l, ok := ui.ParseLang(k.Value); ok {
			return l
		}
	}
	return ui.Chinese
}

// device is a short, plain name of the browser and system for the log (F13); the full header tells more
// than is needed.
func device(agent string) string {
	name := "browser"
	for _, x := range []struct{ mark, name string }{
		{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"QQBrowser/", "QQ"}, {"MicroMessenger/", "WeChat"}, {"wxwork/", "WeCom"}, {"Firefox/", "Firefox"},
		{"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"}, {"Go-http-client", "Go"},
	} {
		if strings.Contains(agent, x.mark) {
			name = x.name
			break
		}
	}
	for _, x := range []struct{ mark, name string }{
		{"Windows", "Windows"}, {"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Mac OS X", "macOS"}, {"HarmonyOS", "HarmonyOS"}, {"Linux", "Linux"},
	} {
		if strings.Contains(agent, x.mark) {
			return name + "/" + x.name
		}
	}
	return name
}
