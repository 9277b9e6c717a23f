package web

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/people"
	playerpages "campuskeep/firmware/web/pages/player"
	"campuskeep/shared/account"
	"campuskeep/shared/usage"
)

// running starts what ends viewings without a click.
func (h *env) running() {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.viewings.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
	})
}

// eventually polls what other goroutines bring about.
func (h *env) eventually(what string, ok func() bool) {
	h.t.Helper()
	end, tick := time.After(10*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-end:
			h.t.Fatalf("there is no %s", what)
		case <-tick.C:
		}
	}
}

// admin changes somebody behind the page, as another package or another browser would.
func (h *env) admin() account.Who {
	return account.Who{Actor: account.Actor{ID: h.ids["liang"], Roles: []account.Role{account.RoleAdmin}, SecondFactor: true}, From: account.System.From, Via: "web"}
}

func (h *env) change(login string, f func(*people.Person)) {
	h.t.Helper()
	p, ok := h.people.Person(h.ids[login])
	if !ok {
		h.t.Fatalf("there is no %s", login)
	}
	f(&p)
	h.must(h.people.ChangePerson(h.t.Context(), h.admin(), p))
}

// ended listens to the end of a viewing as its page does.
func (v *visitor) ended(id string) <-chan playerpages.Outcome {
	v.h.t.Helper()
	r, err := http.NewRequestWithContext(v.h.t.Context(), http.MethodGet, v.h.server.URL+"/view/"+id+"/events", nil)
	v.h.must(err)
	res, err := v.http.Do(r)
	v.h.must(err)
	if res.Header.Get("Content-Type") != "text/event-stream" {
		v.h.t.Fatalf("the page cannot listen: %d %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	out := make(chan playerpages.Outcome, 1)
	go func() {
		defer func() { _ = res.Body.Close() }() // the answer was read; nothing is lost
		lines := bufio.NewScanner(res.Body)
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				var o playerpages.Outcome
				if json.Unmarshal([]byte(data), &o) == nil {
					out <- o
				}
			}
		}
		close(out)
	}()
	return out
}

// What takes away the right to watch stops the picture: nothing of the next fragment but one is served, the page gets
// the reason in that moment, and the closing entry says it. Covers F10, F12, F13, F20.
func TestTheRightEndsAndSoDoesThePicture(t *testing.T) {
	byDuty := func(h *env, v *visitor) string {
		r := v.post("/footage/view", watch("c02", "07:00", "07:20"))
		return strings.TrimPrefix(r.header.Get("Location"), "/view/")
	}
	for name, x := range map[string]struct {
		who    string
		open   func(*env, *visitor) string
		act    func(*env, *visitor)
		status int
		reason string
		says   string
	}{
		"the role is removed": {"zheng", byDuty, func(h *env, _ *visitor) {
			h.change("zheng", func(p *people.Person) { p.Roles = []account.Role{account.RoleStaff} })
		}, http.StatusForbidden, "role", "权限已取消"},
		"the person is disabled": {"zheng", byDuty, func(h *env, _ *visitor) {
			h.change("zheng", func(p *people.Person) { p.Disabled = true })
		}, http.StatusUnauthorized, "disabled", "已停用"},
		"the log-ins are ended": {"zheng", byDuty, func(h *env, _ *visitor) {
			h.must(h.people.EndSessions(h.t.Context(), h.admin(), h.ids["zheng"]))
		}, http.StatusUnauthorized, "logged_out", "登录已结束"},
		"the approval is revoked elsewhere": {"fan", func(h *env, v *visitor) string {
			r := v.post("/footage/view", url.Values{"camera": {"c01"}, "day": {"2026-05-08"}, "from": {"14:40"}, "to": {"15:00"}})
			return strings.TrimPrefix(r.header.Get("Location"), "/view/")
		}, func(h *env, _ *visitor) {
			by := account.Who{Actor: account.Actor{ID: h.ids["zheng"], Roles: []account.Role{account.RoleHeadOfSafety}, SecondFactor: true}, Via: "web"}
			for _, a := range h.usage.List() {
				if a.State == usage.InUse {
					_, err := h.usage.Revoke(h.t.Context(), by, a.ID, "改用他法查明")
					h.must(err)
				}
			}
		}, http.StatusForbidden, "revoked", "批准已撤销"},
		"the time of use is over": {"fan", func(h *env, v *visitor) string {
			r := v.post("/footage/view", url.Values{"camera": {"c01"}, "day": {"2026-05-08"}, "from": {"14:40"}, "to": {"15:00"}})
			return strings.TrimPrefix(r.header.Get("Location"), "/view/")
		}, func(h *env, _ *visitor) { h.clock.pass(5 * 24 * time.Hour) }, http.StatusUnauthorized, "over", "时限已到"},
		"the shift ends": {"zhou", func(h *env, v *visitor) string {
			v.post("/shift/begin", nil)
			r := v.post("/live/view", url.Values{"camera": {"c01"}, "purpose": {"门口人流"}})
			return strings.TrimPrefix(r.header.Get("Location"), "/view/")
		}, func(h *env, v *visitor) { v.post("/shift/end", url.Values{"note": {"无事"}}) }, http.StatusForbidden, "shift", "值班已结束"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			h := newEnv(t)
			if x.who == "fan" {
				h.scene()
			}
			v := h.as(x.who)
			id := x.open(h, v)
			if id == "" {
				t.Fatal("nothing was opened")
			}
			shown := v.ended(id)
			part := func(n string) answer { return v.get("/media/" + id + "/ab/" + n + ".m4s") }
			if r := part("3"); r.Body != string(frames) {
				t.Fatalf("while it is allowed: %d %q", r.status, r.Body)
			}
			h.running()
			x.act(h, v)
			served := 0
			for _, n := range []string{"4", "5"} {
				if r := part(n); strings.Contains(r.Body, string(frames)) {
					served++
				} else if n == "5" && r.status != x.status {
					t.Errorf("fragment %s: %d, want %d", n, r.status, x.status)
				}
			}
			if served > 1 || strings.Contains(part("5").Body, string(frames)) {
				t.Errorf("%d fragments more were served", served)
			}
			h.eventually("word of the end", func() bool { return len(shown) > 0 })
			if o := <-shown; o.State != "ended" || !strings.Contains(o.Title, x.says) || o.Text == "" || o.Href == "" {
				t.Errorf("the page is told %+v, want %q", o, x.says)
			}
			var d struct{ Viewing, Reason string }
			h.eventually("closing entry", func() bool {
				for e, err := range h.store.Newest(h.store.Size()) {
					h.must(err)
					if e.Kind == "footage.access.close" && strings.Contains(string(e.Data), id) {
						h.must(json.Unmarshal(e.Data, &d))
						return true
					}
				}
				return false
			})
			if d.Reason != x.reason {
				t.Errorf("the closing entry says %q, want %q", d.Reason, x.reason)
			}
		})
	}
}

// long gives fragments that no network buffer holds.
type long struct{ *screen }

const longBytes = 96 << 20

func (long) Fragment(context.Context, string, string, int) ([]byte, error) {
	return make([]byte, longBytes), nil
}

// An answer that is on its way is cut in the middle: a browser that reads slowly does not go on receiving. Covers F12.
func TestAnAnswerOnItsWayIsCut(t *testing.T) {
	h := newEnvWith(t, func(h *env, d *Deps) { d.Player = long{h.screen} })
	v := h.as("zheng")
	h.running()
	r := v.post("/footage/view", watch("c02", "07:00", "07:20"))
	id := strings.TrimPrefix(r.header.Get("Location"), "/view/")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.server.URL+"/media/"+id+"/ab/0.m4s", nil)
	h.must(err)
	res, err := v.http.Do(req)
	h.must(err)
	defer func() { _ = res.Body.Close() }() // it is broken on purpose
	if _, err := io.CopyN(io.Discard, res.Body, 64<<10); err != nil {
		t.Fatal(err)
	}
	h.change("zheng", func(p *people.Person) { p.Roles = []account.Role{account.RoleStaff} })
	h.eventually("end of the viewing", func() bool { return len(h.screen.opened()) == 0 })
	n, err := io.Copy(io.Discard, res.Body)
	if err == nil || n+64<<10 >= longBytes {
		t.Fatalf("%d of %d bytes came, %v", n, longBytes, err)
	}
	t.Logf("%d KiB of %d MiB were on their way", n>>10, longBytes>>20)
}

// The same person with their right unchanged watches on when others change.
func TestWhoKeepsTheRightWatchesOn(t *testing.T) {
	h := newEnv(t)
	v := h.as("zheng")
	h.running()
	r := v.post("/footage/view", watch("c02", "07:00", "07:20"))
	id := strings.TrimPrefix(r.header.Get("Location"), "/view/")
	h.change("fan", func(p *people.Person) { p.Disabled = true })
	h.change("zheng", func(p *people.Person) { p.Unit = "安全办" })
	h.viewings.Check(t.Context())
	if r := v.get("/media/" + id + "/ab/3.m4s"); r.Body != string(frames) {
		t.Fatalf("%d %q", r.status, r.Body)
	}
	if r := v.get("/view/" + id + "/state"); !strings.Contains(r.Body, `"open"`) {
		t.Errorf("the state is %s", r.Body)
	}
}

var _ playerpages.Player = long{} // also what other packages add to it
