package web

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// What was done is said once, by the page that the POST led to and by no other; the address has nothing of it.
func TestDoneIsSaidOnce(t *testing.T) {
	w := httptest.NewRecorder()
	Done(w, httptest.NewRequest(http.MethodPost, "/holds/x/propose", nil), "/holds?sort=until#past", "done.hold_kept")
	if got := w.Header().Get("Location"); got != "/holds?sort=until#past" {
		t.Errorf("leads to %q", got)
	}
	cookie := w.Result().Cookies()[0]
	if !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" {
		t.Errorf("cookie %+v", cookie)
	}
	said := func(method, path, value string) (string, bool) {
		r, w := httptest.NewRequest(method, path, nil), httptest.NewRecorder()
		r.AddCookie(&http.Cookie{Name: cookie.Name, Value: value})
		key := WasDone(w, r)
		set := w.Result().Cookies()
		return key, len(set) == 1 && set[0].MaxAge < 0
	}
	for name, x := range map[string]struct{ method, path, value, want string }{
		"the page":        {http.MethodGet, "/holds?sort=until", cookie.Value, "done.hold_kept"},
		"another page":    {http.MethodGet, "/", cookie.Value, ""},
		"a refused form":  {http.MethodPost, "/holds?sort=until", cookie.Value, ""},
		"no key":          {http.MethodGet, "/", "holds.title+%2F", ""},
		"no such key":     {http.MethodGet, "/", "done.nothing_like_it+%2F", ""},
		"not a value":     {http.MethodGet, "/", "%zz", ""},
		"no page in it":   {http.MethodGet, "/", "done.hold_kept", ""},
		"empty, as taken": {http.MethodGet, "/", "", ""},
	} {
		if key, taken := said(x.method, x.path, x.value); key != x.want || taken != (x.want != "") {
			t.Errorf("%s: %q, taken %v; want %q", name, key, taken, x.want)
		}
	}
}
