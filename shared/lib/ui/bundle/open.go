package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// openPage makes 打开.html, one page with everything in it: the offline check as WebAssembly, its style and its script.
// Its policy names the hash of each script, so that nothing else runs in it, and lets it reach no address at all.
func openPage(src string) ([]byte, error) {
	read := func(name string) (string, error) {
		b, err := os.ReadFile(filepath.Join(src, name))
		return string(b), err
	}
	page, err := read("page.html")
	if err != nil {
		return nil, err
	}
	style, err := read("page.css")
	if err != nil {
		return nil, err
	}
	script, err := read("page.js")
	if err != nil {
		return nil, err
	}
	res := api.Transform(script, api.TransformOptions{Engines: []api.Engine{{Name: api.EngineChrome, Version: "86"}}, Charset: api.CharsetUTF8, MinifyWhitespace: true})
	if len(res.Errors) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(api.FormatMessages(res.Errors, api.FormatMessagesOptions{}), ""))
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("ask where Go is: %w", err)
	}
	run, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "wasm_exec.js"))
	if err != nil {
		return nil, fmt.Errorf("read what starts WebAssembly of Go: %w", err)
	}
	program, err := wasm("./" + filepath.ToSlash(src))
	if err != nil {
		return nil, err
	}
	if bytes.Contains(run, []byte("</script")) || bytes.Contains(res.Code, []byte("</script")) {
		return nil, fmt.Errorf("a script of %s would end early", src)
	}
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return []byte(strings.NewReplacer("{{hashes}}", hash(string(run))+" "+hash(string(res.Code)), "{{styleHash}}", hash(style), "{{style}}", style,
		"{{exec}}", string(run), "{{program}}", base64.StdEncoding.EncodeToString(program), "{{script}}", string(res.Code)).Replace(page)), nil
}

// wasm builds a command for the browser, compressed.
func wasm(command string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "campuskeep-open")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the build: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	out := filepath.Join(dir, "open.wasm")
	c := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", out, command)
	c.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0")
	if said, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build %s: %w\n%s", command, err, said)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		return nil, fmt.Errorf("read the build: %w", err)
	}
	return compressed(b)
}

func compressed(b []byte) ([]byte, error) {
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if _, err := w.Write(b); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return z.Bytes(), nil
}
