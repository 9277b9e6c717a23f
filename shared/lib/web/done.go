package web

import (
	"net/http"
	"net/url"
	"strings"

	"campuskeep/shared/lib/ui"
)

// doneCookie carries what was done from the POST that did it to the page that follows. Only this host can set it, so
// no link from elsewhere makes a page say that something was done.
const doneCookie = "__Host-ck-done"

// doneFor is how many seconds a browser has to open the page that follows.
const doneFor = 60

// Done ends a POST: the browser gets the page by GET, and that page says once what was done, a key of the catalogue.
// Nothing of it is in the address: a reload, a bookmark or a link does not say it again.
func Done(w http.ResponseWriter, r *http.Request, path, key string) {
	at, _, _ := strings.Cut(path, "#")
	http.SetCookie(w, &http.Cookie{Name: doneCookie, Value: url.QueryEscape(key + " " + at), Path: "/", MaxAge: doneFor, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, path, http.StatusSeeOther)
}

// WasDone takes what the request before did, when this is the page that it led to; empty: nothing.
func WasDone(w http.ResponseWriter, r *http.Request) string {
	k, err := r.Cookie(doneCookie)
	if err != nil || r.Method != http.MethodGet {
		return ""
	}
	text, err := url.QueryUnescape(k.Value)
	key, at, _ := strings.Cut(text, " ")
	if err != nil || at != r.URL.RequestURI() || !strings.HasPrefix(key, "done.") || !ui.Has(key) {
		return ""
	}
	http.SetCookie(w, &http.Cookie{Name: doneCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	return key
}
