package office

import (
	"net/http"
	"strings"
	"testing"
)

func TestSmoke(t *testing.T) {
	h := newHouse(t)
	for _, who := range []string{"zheng", "fan", "luo", "liang", "guo", "zhou", "lin"} {
		v := h.as(who)
		for _, p := range []string{"/", "/footage", "/footage?camera=c01&day=2026-05-08&t=14:50", "/applications", "/applications/mine", "/applications/new", "/gate", "/gate/class/2023-01", "/log", "/log/3", "/log/3/proof", "/cameras", "/cameras/new", "/cameras/c01", "/people", "/people/new", "/people/p002", "/settings", "/clock", "/account", "/trust", "/rules", "/live", "/api/v1/status", "/api/v1/ribbon", "/api/v1/gate", "/api/v1/log", "/api/v1/cameras", "/api/v1/openapi.json", "/healthz"} {
			r := v.get(p)
			if r.status >= 500 || strings.Contains(r.body, "⟦") {
				t.Errorf("%s %s: %d", who, p, r.status)
				for _, l := range strings.Split(r.body, "\n") {
					if i := strings.Index(l, "⟦"); i >= 0 {
						t.Log(l[max(0, i-60):min(len(l), i+80)])
					}
				}
			} else {
				t.Log(who, p, r.status, http.StatusText(r.status), len(r.body))
			}
		}
	}
}
