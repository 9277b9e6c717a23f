package records

import (
	"io"
	"net/http"
	"time"

	"campuskeep/firmware/sealedfiles"
)

// showFile sends a scan: shown, never stored by the browser, and nothing in it can run or reach another page.
func showFile(c *call, f io.ReadSeeker, kind, id string) {
	h := c.W.Header()
	h.Set("Content-Type", sealedfiles.MIME(kind))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	policy := "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
	if kind == sealedfiles.PDF { // a browser's viewer does not work in a sandbox; it runs nothing that could reach the page
		policy = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"
	}
	h.Set("Content-Security-Policy", policy)
	h.Set("Content-Disposition", `inline; filename="`+id[:8]+"."+extension(kind)+`"`)
	http.ServeContent(c.W, c.R, "", time.Time{}, f)
}

func extension(kind string) string {
	if kind == sealedfiles.JPEG {
		return "jpg"
	}
	return kind
}
