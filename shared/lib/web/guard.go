package web

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"

	"campuskeep/shared/lib/ui"
)

// policy is the content policy of every answer: own files only, no inline script or style, no frames.
// blob: is for the media source of the player, data: for the empty icon.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Secure sets the headers of every answer.
func Secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Strict-Transport-Security", "max-age=31536000")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), display-capture=()")
	h.Set("Cache-Control", "no-store")
}

// Guard is before all routes: headers, TLS, cross-origin requests, recovery.
func Guard(log *slog.Logger, assets *ui.Assets, next http.Handler) http.Handler {
	inner := http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Secure(w.Header())
		defer func() {
			if p := recover(); p != nil {
				if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
				log.Error("request panicked", "path", r.Pattern, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			}
		}()
		switch {
		case r.TLS == nil:
			http.Error(w, "this page answers only over TLS: use https://", http.StatusMisdirectedRequest)
		case strings.HasPrefix(r.URL.Path, ui.AssetPath):
			assets.ServeHTTP(w, r)
		default:
			inner.ServeHTTP(w, r)
		}
	})
}

// Address is where a request comes from; the zero value when the listener is not TCP.
func Address(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// Language is what the person chose, by cookie; Chinese until then.
func Language(r *http.Request) ui.Lang {
	if k, err := r.Cookie("lang"); err == nil {
		if l, ok := ui.ParseLang(k.Value); ok {
			return l
		}
	}
	return ui.Chinese
}

// SetLanguage answers the language switch of the page frame: a cookie, and back to the page.
func SetLanguage(w http.ResponseWriter, r *http.Request) {
	if l, ok := ui.ParseLang(r.PostFormValue("lang")); ok {
		http.SetCookie(w, &http.Cookie{Name: "lang", Value: string(l), Path: "/", MaxAge: 365 * 24 * 3600, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	http.Redirect(w, r, Local(r.PostFormValue("back")), http.StatusSeeOther)
}

// Send writes a whole answer, compressed when that helps and the browser takes it. The error is that the
// browser went away.
func Send(w http.ResponseWriter, r *http.Request, status int, b []byte) error {
	h := w.Header()
	h.Set("Vary", "Accept-Encoding, Cookie")
	if len(b) > 1400 && ui.AcceptsGzip(r) {
		var z bytes.Buffer
		zw := gzip.NewWriter(&z)
		if _, err := zw.Write(b); err == nil && zw.Close() == nil {
			h.Set("Content-Encoding", "gzip")
			b = z.Bytes()
		}
	}
	w.WriteHeader(status)
	_, err := w.Write(b)
	return err
}

// Local is the path a redirect may lead to: one of ours, nothing else. The path is looked at as typed and as
// decoded, because browsers decode: FuzzLocal found what each alone lets through.
func Local(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.IsAbs() || u.Host != "" || u.Opaque != "" || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") ||
		strings.HasPrefix(u.Path, "//") || strings.ContainsAny(path+u.Path, "\\\r\n") {
		return "/"
	}
	out := u.EscapedPath()
	if u.RawQuery != "" {
		out += "?" + u.RawQuery
	}
	return out
}

// Device is a short, plain name of the browser and system for the log (F13); the full header tells more
// than is needed.
func Device(agent string) string {
	name := "browser"
	for _, x := range []struct{ mark, name string }{
		{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"QQBrowser/", "QQ"}, {"MicroMessenger/", "WeChat"}, {"wxwork/", "WeCom"}, {"Firefox/", "Firefox"},
		{"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"}, {"Go-http-client", "Go"},
	} {
		if strings.Contains(agent, x.mark) {
			name = x.name
			break
		}
	}
	for _, x := range []struct{ mark, name string }{
		{"Windows", "Windows"}, {"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Mac OS X", "macOS"}, {"HarmonyOS", "HarmonyOS"}, {"Linux", "Linux"},
	} {
		if strings.Contains(agent, x.mark) {
			return name + "/" + x.name
		}
	}
	return name
}
