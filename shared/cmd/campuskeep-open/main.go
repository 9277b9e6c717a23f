//go:build js && wasm

// Command campuskeep-open is the check of campuskeep-verify as WebAssembly, for the page 打开.html that lies beside a
// sealed package: opened from a stick, it needs no network and no installation.
//
// It gives the page one object, campuskeep, with check, read and cancel. It owns nothing. What it opens stays in the
// memory of the browser; it must never send anything, and never call a file valid that no key known otherwise confirms.
package main

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"path"
	"sync"
	"sync/atomic"
	"syscall/js"

	"filippo.io/age"

	"campuskeep/shared/cmd/internal/check"
	"campuskeep/shared/packet"
)

func main() {
	var p page
	js.Global().Set("campuskeep", js.ValueOf(map[string]any{
		"check":  promised(p.check),
		"read":   promised(p.read),
		"cancel": js.FuncOf(func(js.Value, []js.Value) any { p.cancelled.Store(true); return nil }),
	}))
	if ready := js.Global().Get("campuskeepReady"); ready.Truthy() {
		ready.Invoke()
	}
	select {}
}

// page is the file that was checked last.
type page struct {
	cancelled atomic.Bool
	archive   *packet.ArchiveReader
}

var errCancelled = errors.New("已停止 stopped")

// check(file, key, trusted, progress(done, total)) gives {ok, trusted, locked, text, members: [{name, size, type, video}]}.
func (p *page) check(args []js.Value) (any, error) {
	p.cancelled.Store(false)
	p.archive = nil
	file, key := &blob{v: args[0], size: int64(args[0].Get("size").Float()), cancelled: &p.cancelled}, args[1].String()
	trusted, err := check.Keys(args[2].String())
	if err != nil {
		return map[string]any{"text": "公钥格式错误，应为“名称+编号+base64”。\nThe public key is malformed: want name+id+base64.", "badKey": true}, nil
	}
	r, err := check.File(file, file.size, func() ([]age.Identity, error) { return check.Identities(key) }, trusted, func(done int64) { args[3].Invoke(float64(done), float64(file.size)) })
	if p.cancelled.Load() {
		return nil, errCancelled
	}
	if err != nil {
		return map[string]any{"text": check.Refusal(err), "locked": errors.Is(err, check.ErrIdentity)}, nil
	}
	out := map[string]any{"ok": true, "trusted": r.Trusted, "text": r.Text}
	if r.Package == nil {
		return out, nil
	}
	p.archive = r.Archive
	videos := map[string]bool{}
	for _, v := range r.Package.Manifest.Videos {
		videos[v.Path] = true
	}
	members := make([]any, len(r.Archive.Members))
	for i, m := range r.Archive.Members {
		members[i] = map[string]any{"name": m.Name, "size": float64(m.Size), "type": mime.TypeByExtension(path.Ext(m.Name)), "video": videos[m.Name]}
	}
	out["members"] = members
	return out, nil
}

// read(i, sink(bytes)) gives the content of a member piece by piece.
func (p *page) read(args []js.Value) (any, error) {
	p.cancelled.Store(false)
	i := args[0].Int()
	if p.archive == nil || i < 0 || i >= len(p.archive.Members) {
		return nil, errors.New("no such member")
	}
	return nil, p.archive.Read(i, func(in io.Reader) error {
		buf := make([]byte, window)
		for {
			n, err := io.ReadFull(in, buf)
			if n > 0 {
				b := js.Global().Get("Uint8Array").New(n)
				js.CopyBytesToJS(b, buf[:n])
				args[1].Invoke(b)
			}
			switch {
			case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
				return nil
			case err != nil:
				return err
			}
		}
	})
}

// window is how much of the file is read at once.
const window = 4 << 20

// blob reads a file of the browser.
type blob struct {
	v         js.Value
	size      int64
	cancelled *atomic.Bool

	mu  sync.Mutex
	at  int64
	buf []byte
}

// ReadAt reads through a window, so that the browser is asked for large pieces only.
func (f *blob) ReadAt(b []byte, at int64) (n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n < len(b) {
		if at >= f.size {
			return n, io.EOF
		}
		if at < f.at || at >= f.at+int64(len(f.buf)) {
			if f.cancelled.Load() {
				return n, errCancelled
			}
			piece, err := await(f.v.Call("slice", float64(at), float64(min(f.size, at+window))).Call("arrayBuffer"))
			if err != nil {
				return n, fmt.Errorf("read the file: %w", err)
			}
			bytes := js.Global().Get("Uint8Array").New(piece)
			f.at, f.buf = at, make([]byte, bytes.Length())
			js.CopyBytesToGo(f.buf, bytes)
			if len(f.buf) == 0 {
				return n, io.ErrUnexpectedEOF
			}
		}
		k := copy(b[n:], f.buf[at-f.at:])
		n, at = n+k, at+int64(k)
	}
	return n, nil
}

// await waits for a promise.
func await(p js.Value) (out js.Value, err error) {
	done := make(chan struct{})
	then := js.FuncOf(func(_ js.Value, args []js.Value) any {
		out = args[0]
		close(done)
		return nil
	})
	defer then.Release()
	failed := js.FuncOf(func(_ js.Value, args []js.Value) any {
		err = errors.New(args[0].Call("toString").String())
		close(done)
		return nil
	})
	defer failed.Release()
	p.Call("then", then, failed)
	<-done
	return out, err
}

// promised makes a function of the page: it gives a promise, as reading a file waits.
func promised(f func(args []js.Value) (any, error)) js.Func {
	return js.FuncOf(func(_ js.Value, args []js.Value) any {
		var run js.Func
		run = js.FuncOf(func(_ js.Value, p []js.Value) any {
			go func() {
				defer run.Release()
				out, err := f(args)
				if err != nil {
					p[1].Invoke(js.Global().Get("Error").New(err.Error()))
					return
				}
				p[0].Invoke(js.ValueOf(out))
			}()
			return nil
		})
		return js.Global().Get("Promise").New(run)
	})
}
