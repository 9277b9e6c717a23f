package ui

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed all:dist
var dist embed.FS

// Assets are the browser files. Their names carry their content's hash, so a browser keeps them for ever.
type Assets struct {
	names map[string]string // source name → file in dist
	files map[string]asset  // file in dist → content
}

type asset struct {
	plain, gz []byte
	mime      string
}

// ErrNoAssets says that the program was built without the browser files.
var ErrNoAssets = errors.New("the browser files are not in this program: run `npm ci --prefix shared/lib/ui/web` and `go run ./shared/lib/ui/bundle` before building (scripts/run and scripts/test do)")

// LoadAssets reads what was embedded; [ErrNoAssets] when the bundler had not run before the build.
func LoadAssets() (*Assets, error) { return loadAssets(dist) }

func loadAssets(files fs.FS) (*Assets, error) {
	b, err := fs.ReadFile(files, "dist/manifest.json")
	if err != nil {
		return nil, ErrNoAssets
	}
	a := &Assets{names: map[string]string{}, files: map[string]asset{}}
	if err := json.Unmarshal(b, &a.names); err != nil {
		return nil, fmt.Errorf("read the list of browser files: %w", err)
	}
	for _, n := range a.names {
		plain, err := fs.ReadFile(files, "dist/"+n)
		if err != nil {
			return nil, fmt.Errorf("read a browser file: %w", err)
		}
		gz, err := fs.ReadFile(files, "dist/"+n+".gz")
		if err != nil {
			return nil, fmt.Errorf("read a browser file: %w", err)
		}
		a.files[n] = asset{plain, gz, mime.TypeByExtension(path.Ext(n))}
	}
	return a, nil
}

// AssetPath is where the assets are served, with both slashes.
const AssetPath = "/assets/"

// URL is the address of a browser file, e.g. "player.js"; empty when there is none of that name.
func (a *Assets) URL(name string) string {
	if n, ok := a.names[name]; ok {
		return AssetPath + n
	}
	return ""
}

// Content is a browser file as it is; nil when there is none of that name.
func (a *Assets) Content(name string) []byte { return a.files[a.names[name]].plain }

// ServeHTTP serves the files below AssetPath, compressed when the browser takes it. They hold no
// personal data, so they are the one thing that may be kept by the browser.
func (a *Assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := a.files[strings.TrimPrefix(r.URL.Path, AssetPath)]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.mime)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	body := f.plain
	if AcceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body = f.gz
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	if _, err := w.Write(body); err != nil {
		return // the browser went away; nothing is half-done
	}
}

// AcceptsGzip says whether the browser takes gzip.
func AcceptsGzip(r *http.Request) bool {
	for e := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(e), ";")
		if name == "gzip" && strings.TrimSpace(q) != "q=0" {
			return true
		}
	}
	return false
}
