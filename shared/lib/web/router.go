// Package web is the HTTP side that the appliance's pages and the centre's console share: routes that cannot be
// built without a permission, the guard before them, limits, and small safe answers.
//
// It owns only the buckets of its limiters. It must never decide who may do what: it hands each request's
// action to its program, which asks account.May.
package web

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"campuskeep/shared/account"
)

// Route is one address. C is the program's call: one request while it is answered. Action and Subject are not
// optional: [Router] refuses to build with a route that nobody thought about who may use it.
type Route[C any] struct {
	Pattern string // as http.ServeMux reads it: "GET /footage"
	Action  account.Action
	Subject func(C) (account.Subject, error) // what the action is about
	Handle  func(C) error
	Media   bool  // bytes of footage: never stored by the browser, own rate
	Stream  bool  // server-sent events: stays open
	Body    int64 // most bytes of a request's body; 0 is [FormBody]
}

// FormBody is the most that a form may send.
const FormBody = 64 << 10

// Router builds the multiplexer of the routes; serve answers each of their requests.
func Router[C any](routes []Route[C], serve func(Route[C], http.ResponseWriter, *http.Request)) (*http.ServeMux, error) {
	mux := http.NewServeMux()
	var faults []error
	seen := map[string]bool{}
	for _, r := range routes {
		switch method, path, ok := strings.Cut(r.Pattern, " "); {
		case !ok || !strings.HasPrefix(path, "/") || method != http.MethodGet && method != http.MethodPost:
			faults = append(faults, fmt.Errorf("route %q: want GET or POST and a path", r.Pattern))
		case seen[r.Pattern]:
			faults = append(faults, fmt.Errorf("route %q is there twice", r.Pattern))
		case r.Action == "":
			faults = append(faults, fmt.Errorf("route %q has no permission: name its account.Action", r.Pattern))
		case r.Subject == nil && r.Action != account.ActPublic:
			faults = append(faults, fmt.Errorf("route %q has no subject: say what %s is about", r.Pattern, r.Action))
		case r.Handle == nil:
			faults = append(faults, fmt.Errorf("route %q has no handler", r.Pattern))
		default:
			mux.HandleFunc(r.Pattern, func(w http.ResponseWriter, q *http.Request) { serve(r, w, q) })
		}
		seen[r.Pattern] = true
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("build the routes: %w", err)
	}
	return mux, nil
}
