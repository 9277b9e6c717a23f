package appliance

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// A running box holds its databases locked, so the commands of campuskeepd (check, export-log) ask it over a
// socket in the data directory, which only root may open. It speaks HTTP, so that curl can ask too.
const controlName = "control.sock"

func controlPath(c Config) string { return filepath.Join(c.Appliance.Data, controlName) }

func listenControl(c Config) (net.Listener, error) {
	path := controlPath(c)
	// The data directory's lock is held, so a socket that is there belongs to nobody any more.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the old control socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("open the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (a *Appliance) serveControl(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /check", func(w http.ResponseWriter, r *http.Request) {
		enc := json.NewEncoder(w)
		err := a.check(r.Context(), r.URL.Query().Get("full") == "1", func(f Finding) {
			if err := enc.Encode(f); err != nil {
				a.log.Debug("the asker of check went away")
			}
		})
		end := checkEnd{Done: err == nil}
		if err != nil {
			end.Error = err.Error()
		}
		if err := enc.Encode(end); err != nil {
			a.log.Debug("the asker of check went away")
		}
	})
	mux.HandleFunc("POST /rotate-root", func(w http.ResponseWriter, r *http.Request) {
		var end rotated
		var err error
		if end.Place, err = a.rootKey.Rotate(r.Context()); err != nil {
			end.Error = err.Error()
		}
		if err := json.NewEncoder(w).Encode(end); err != nil {
			a.log.Debug("the asker of rotate-root went away")
		}
	})
	mux.HandleFunc("GET /export-log", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Error")
		if _, err := a.Store.Export(r.Context(), w); err != nil {
			w.Header().Set("X-Error", err.Error())
		}
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug)}
	return serve(ctx, srv, a.control)
}

// checkEnd is the last line of an answer to check: without it the answer was cut off.
type checkEnd struct {
	Done  bool   `json:"done"`
	Error string `json:"error,omitempty"`
}

// askControl asks the running box; ok is false when none is running.
func askControl(ctx context.Context, c Config, method, path string) (resp *http.Response, ok bool, err error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", controlPath(c))
	}
	conn, err := dial(ctx, "", "")
	if err != nil {
		return nil, false, nil // nobody listens
	}
	if err := conn.Close(); err != nil {
		return nil, true, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://campuskeepd"+path, nil)
	if err != nil {
		return nil, true, err
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	if resp, err = client.Do(req); err != nil {
		return nil, true, fmt.Errorf("ask the running campuskeepd: %w", err)
	}
	return resp, true, nil
}

func askCheck(ctx context.Context, c Config, full bool, report func(Finding)) (ok bool, err error) {
	path := "/check"
	if full {
		path += "?full=1"
	}
	resp, ok, err := askControl(ctx, c, http.MethodGet, path)
	if !ok || err != nil {
		return ok, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		var end checkEnd
		if err := json.Unmarshal(lines.Bytes(), &end); err != nil {
			return true, fmt.Errorf("answer of the running campuskeepd: %w", err)
		}
		if end.Error != "" {
			return true, errors.New(end.Error)
		}
		if end.Done {
			return true, nil
		}
		var f Finding
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			return true, fmt.Errorf("answer of the running campuskeepd: %w", err)
		}
		report(f)
	}
	return true, errors.Join(lines.Err(), errors.New("the answer of the running campuskeepd was cut off"))
}

func askExport(ctx context.Context, c Config, w io.Writer) (ok bool, err error) {
	resp, ok, err := askControl(ctx, c, http.MethodGet, "/export-log")
	if !ok || err != nil {
		return ok, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return true, fmt.Errorf("read the export: %w", err)
	}
	if e := resp.Trailer.Get("X-Error"); e != "" {
		return true, errors.New(e)
	}
	return true, nil
}
