package frame

import (
	"fmt"
	"net/http"
	"slices"

	"campuskeep/shared/account"
	weblib "campuskeep/shared/lib/web"
)

// Route is one address of the pages. Action and Subject are not optional: [NewRouter] refuses a route that says of
// nobody that they may use it.
type Route struct {
	Pattern string // as http.ServeMux reads it: "GET /footage"
	Action  account.Action
	Subject SubjectFunc
	Handle  Handler
	Media   bool  // bytes of footage: never stored by the browser, own rate
	Stream  bool  // server-sent events: stays open
	Body    int64 // most bytes of a request's body; 0 is [weblib.FormBody]
}

// Handler answers one call; what it returns is turned into the answer that a person can act on.
type Handler func(*Call) error

// SubjectFunc says what the action is about, from the request alone or from what the packages know of
// it.
type SubjectFunc func(*Call) (account.Subject, error)

// Router holds the routes by pattern; it is an http.Handler that asks May before every handler.
type Router struct {
	mux    *http.ServeMux
	Routes []Route
}

// NewRouter builds the router; a route without action, subject or handler is refused.
func NewRouter(routes []Route, serve func(Route, http.ResponseWriter, *http.Request)) (*Router, error) {
	list := make([]weblib.Route[*Call], len(routes))
	byPattern := map[string]Route{}
	for i, r := range routes {
		list[i] = weblib.Route[*Call]{Pattern: r.Pattern, Action: r.Action, Subject: r.Subject, Handle: r.Handle}
		byPattern[r.Pattern] = r
	}
	mux, err := weblib.Router(list, func(r weblib.Route[*Call], w http.ResponseWriter, q *http.Request) { serve(byPattern[r.Pattern], w, q) })
	if err != nil {
		return nil, fmt.Errorf("build the routes: %w", err)
	}
	return &Router{mux: mux, Routes: routes}, nil
}

// ServeHTTP implements http.Handler.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) { rt.mux.ServeHTTP(w, r) }

// Patterns lists all routes, for the permission table of the tests and the description of the interface.
func (rt *Router) Patterns() []string {
	var out []string
	for _, r := range rt.Routes {
		out = append(out, r.Pattern)
	}
	slices.Sort(out)
	return out
}

// Anything is the subject of actions that are about nothing in particular.
func Anything(*Call) (account.Subject, error) { return account.Subject{}, nil }

// Self is the subject of one's own page.
func Self(c *Call) (account.Subject, error) {
	return account.Subject{Person: c.Actor.ID}, nil
}
