package web

import (
	"fmt"
	"net/http"
	"slices"

	"campuskeep/shared/account"
	weblib "campuskeep/shared/lib/web"
)

// route is one address of the office page. Action and Subject are not optional: [newRouter] refuses to
// build with a route that nobody thought about who may use it.
type route struct {
	pattern string // as http.ServeMux reads it: "GET /footage"
	action  account.Action
	subject subjectFunc
	handle  handler
	media   bool  // bytes of footage: never stored by the browser, own rate
	stream  bool  // server-sent events: stays open
	body    int64 // most bytes of a request's body; 0 is [weblib.FormBody]
}

// handler answers one call; what it returns is turned into the answer that a person can act on.
type handler func(*call) error

// subjectFunc says what the action is about, from the request alone or from what the packages know of
// it.
type subjectFunc func(*call) (account.Subject, error)

// router holds the routes by pattern; it is an http.Handler that asks May before every handler.
type router struct {
	mux    *http.ServeMux
	routes []route
}

func newRouter(routes []route, serve func(route, http.ResponseWriter, *http.Request)) (*router, error) {
	list := make([]weblib.Route[*call], len(routes))
	byPattern := map[string]route{}
	for i, r := range routes {
		list[i] = weblib.Route[*call]{Pattern: r.pattern, Action: r.action, Subject: r.subject, Handle: r.handle}
		byPattern[r.pattern] = r
	}
	mux, err := weblib.Router(list, func(r weblib.Route[*call], w http.ResponseWriter, q *http.Request) { serve(byPattern[r.Pattern], w, q) })
	if err != nil {
		return nil, fmt.Errorf("the office page: %w", err)
	}
	return &router{mux: mux, routes: routes}, nil
}

func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) { rt.mux.ServeHTTP(w, r) }

// patterns lists all routes, for the permission table of the tests and the description of the interface.
func (rt *router) patterns() []string {
	var out []string
	for _, r := range rt.routes {
		out = append(out, r.pattern)
	}
	slices.Sort(out)
	return out
}

// anything is the subject of actions that are about nothing in particular.
func anything(*call) (account.Subject, error) { return account.Subject{}, nil }

// self is the subject of one's own page.
func self(c *call) (account.Subject, error) {
	return account.Subject{Person: c.actor.ID}, nil
}
