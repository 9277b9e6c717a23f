package office

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"campuskeep/shared/account"
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
	body    int64 // most bytes of a request's body; 0 is [formBody]
}

// handler answers one call; what it returns is turned into the answer that a person can act on.
type handler func(*call) error

// subjectFunc says what the action is about, from the request alone or from what the rooms know of it.
type subjectFunc func(*call) (account.Subject, error)

// formBody is the most that a form may send.
const formBody = 64 << 10

// router holds the routes by pattern; it is an http.Handler that asks May before every handler.
type router struct {
	mux    *http.ServeMux
	routes []route
}

func newRouter(routes []route, serve func(route, http.ResponseWriter, *http.Request)) (*router, error) {
	rt := &router{mux: http.NewServeMux(), routes: routes}
	var faults []error
	seen := map[string]bool{}
	for _, r := range routes {
		switch method, path, ok := strings.Cut(r.pattern, " "); {
		case !ok || !strings.HasPrefix(path, "/") || method != http.MethodGet && method != http.MethodPost:
			faults = append(faults, fmt.Errorf("route %q: want GET or POST and a path", r.pattern))
		case seen[r.pattern]:
			faults = append(faults, fmt.Errorf("route %q is there twice", r.pattern))
		case r.action == "":
			faults = append(faults, fmt.Errorf("route %q has no permission: name its account.Action", r.pattern))
		case r.subject == nil && r.action != account.ActPublic:
			faults = append(faults, fmt.Errorf("route %q has no subject: say what %s is about", r.pattern, r.action))
		case r.handle == nil:
			faults = append(faults, fmt.Errorf("route %q has no handler", r.pattern))
		default:
			rt.mux.HandleFunc(r.pattern, func(w http.ResponseWriter, q *http.Request) { serve(r, w, q) })
		}
		seen[r.pattern] = true
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("building the routes of the office page: %w", err)
	}
	return rt, nil
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
