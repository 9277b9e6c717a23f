package web

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/ui"
	weblib "campuskeep/shared/lib/web"
	"campuskeep/shared/login"
)

// Classes of routes, as requests are counted by them.
const (
	classPage  = "page"
	classAPI   = "api"
	classMedia = "media"
	classAsset = "asset"
	classOwn   = "monitoring"
)

func classOf(path string) string {
	switch {
	case strings.HasPrefix(path, "/media/"):
		return classMedia
	case strings.HasPrefix(path, "/api/"):
		return classAPI
	case strings.HasPrefix(path, ui.AssetPath):
		return classAsset
	case path == "/healthz" || path == "/metrics":
		return classOwn
	}
	return classPage
}

// statusRecorder is an answer whose status is remembered.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (w *statusRecorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach deadlines and flushing.
func (w *statusRecorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// countRequests returns how long each answer took, and enters when one address asks for much that does not exist or is
// not its own.
func (o *Server) countRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := o.d.Clock.Now().Mono
		out := &statusRecorder{ResponseWriter: w}
		next.ServeHTTP(out, r)
		class := classOf(r.URL.Path)
		if out.status == 0 {
			out.status = http.StatusOK
		}
		now := o.d.Clock.Now().Mono
		if o.d.Answered != nil && out.Header().Get("Content-Type") != "text/event-stream" { // a stream's length says nothing
			o.d.Answered(class, out.status, now-began)
		}
		// A player asks for what is not there yet, by itself.
		if class != classMedia && (out.status == http.StatusForbidden || out.status == http.StatusNotFound) {
			o.countRefused(r, now)
		}
	})
}

func (o *Server) countRefused(r *http.Request, now time.Duration) {
	from := weblib.Address(r)
	count, storm := o.scans.count(from, now)
	if !storm {
		return
	}
	d := account.System.Draft("login.storm", "", "", map[string]any{"what": "scan", "count": count, "minutes": int(login.ScanStorm.Window / time.Minute)})
	d.From = &ledger.From{Address: from.String()}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 10*time.Second)
	defer cancel()
	if _, err := o.d.Ledger.Commit(ctx, ledgerdb.Change{Entries: []ledger.Draft{d}}); err != nil {
		o.d.Log.Error("a scan could not be entered", "count", count, "err", err)
	}
}

// mostScanners is for how many addresses refusals are counted; the others are counted together.
const mostScanners = 1024

// scanCounter counts refusals by address.
type scanCounter struct {
	mu   sync.Mutex
	from map[netip.Addr]*login.Storm
}

func (s *scanCounter) count(from netip.Addr, mono time.Duration) (shown int, storm bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.from == nil {
		s.from = map[netip.Addr]*login.Storm{}
	}
	if s.from[from] == nil {
		if len(s.from) >= mostScanners {
			for a, x := range s.from {
				if x.Quiet(login.ScanStorm, mono) {
					delete(s.from, a)
				}
			}
		}
		if len(s.from) >= mostScanners {
			from = netip.Addr{}
		}
		if s.from[from] == nil {
			s.from[from] = &login.Storm{}
		}
	}
	return s.from[from].Count(login.ScanStorm, mono)
}
