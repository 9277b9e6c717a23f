// Command bundle makes the browser files that package ui embeds: it bundles shared/lib/ui/web with esbuild
// for the oldest browser we serve, makes the page that opens sealed packages, names each file by its content, and compresses it beforehand.
//
// It owns shared/lib/ui/dist and nothing else. It must never fetch anything: npm ci put the packages there.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// entries are the bundles there are: source in web/, and the same name in dist/ with the content's hash.
var entries = []string{"campuskeep.css", "campuskeep.js", "player.js", "live.js", "emergency.js", "roll.js"}

func main() {
	if err := run("shared/lib/ui/web", "shared/cmd/campuskeep-open", "shared/lib/ui/dist"); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

func run(src, open, dst string) error {
	if _, err := os.Stat(filepath.Join(src, "node_modules", "hls.js")); err != nil {
		return fmt.Errorf("the packages of %s are not installed: run `npm ci --prefix %s` (%w)", src, src, err)
	}
	var in []string
	for _, e := range entries {
		in = append(in, filepath.Join(src, e))
	}
	res := api.Build(api.BuildOptions{
		EntryPoints: in,
		Outdir:      dst,
		Bundle:      true,
		Format:      api.FormatIIFE,
		Target:      api.ES2020,
		Engines:     []api.Engine{{Name: api.EngineChrome, Version: "86"}},
		Charset:     api.CharsetUTF8,

		MinifyWhitespace: true, MinifyIdentifiers: true, MinifySyntax: true,
		LegalComments: api.LegalCommentsInline,
	})
	if len(res.Errors) > 0 {
		return errors.New(strings.Join(api.FormatMessages(res.Errors, api.FormatMessagesOptions{}), ""))
	}
	page, err := openPage(open)
	if err != nil {
		return fmt.Errorf("make the page that opens packages: %w", err)
	}
	names := map[string]string{}
	for _, f := range append(res.OutputFiles, api.OutputFile{Path: "open.html", Contents: page}) {
		sum := sha256.Sum256(f.Contents)
		base := filepath.Base(f.Path)
		ext := filepath.Ext(base)
		name := strings.TrimSuffix(base, ext) + "." + hex.EncodeToString(sum[:6]) + ext
		names[base] = name
		if err := os.WriteFile(filepath.Join(dst, name), f.Contents, 0o644); err != nil {
			return fmt.Errorf("write a bundle: %w", err)
		}
		z, err := compressed(f.Contents)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dst, name+".gz"), z, 0o644); err != nil {
			return fmt.Errorf("write a compressed bundle: %w", err)
		}
		fmt.Printf("%-32s %7d B, compressed %6d B\n", name, len(f.Contents), len(z))
	}
	// The list comes last and whole, and only then the old files go: a build at the same time finds either set.
	b, err := json.MarshalIndent(names, "", "  ")
	if err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	list := filepath.Join(dst, "manifest.json")
	if err := os.WriteFile(list+".new", append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	if err := os.Rename(list+".new", list); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	return tidy(dst, names)
}

// tidy removes what earlier runs left behind.
func tidy(dst string, names map[string]string) error {
	keep := map[string]bool{".gitkeep": true, ".stamp": true, "manifest.json": true}
	for _, n := range names {
		keep[n], keep[n+".gz"] = true, true
	}
	old, err := os.ReadDir(dst)
	if err != nil {
		return fmt.Errorf("read the output folder: %w", err)
	}
	for _, o := range old {
		if !keep[o.Name()] {
			if err := os.Remove(filepath.Join(dst, o.Name())); err != nil {
				return fmt.Errorf("clear the output folder: %w", err)
			}
		}
	}
	return nil
}
