package ui

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"
)

//go:embed parts/*.html
var partFiles embed.FS

// Frame is what surrounds every page: header, navigation, banners, footer with the proof line.
type Frame struct {
	Lang     Lang
	Title    string // of the browser window; the h1 is in the page
	Site     string // school or office, after the brand
	Home     string // where the brand leads
	Nav      []NavItem
	Tabs     []NavItem // of the section that this page belongs to; nil: it has one page
	Who      *Who      // nil: nobody is logged in
	Banner   []Note
	Proof    []Fact // left of the footer: entries, witnessed up to, clock
	About    string // right of the footer: device and version
	Path     string // of this page with query, for the language switch
	Script   string // a further bundle, e.g. "player.js"; it runs before the one of every page
	Prefetch string // a bundle that the next page will want
	Class    string // of <body>
}

// NavItem is one entry of the navigation. Count > 0 shows a number with its meaning.
type NavItem struct {
	Href, Text string
	Current    bool
	Count      int
	CountText  string
}

// Who is logged in.
type Who struct {
	Name, Role string
	Account    string // address of the own page
	Logout     string // address that logs out (POST)
}

// Fact is a short statement with an icon.
type Fact struct{ Icon, Text, Href string }

// Note is a statement set off from the page; Kind is "", ok, warn, bad or hold.
type Note struct {
	Kind, Icon, Text string
	Href, Link       string
}

// Pages renders the pages of one program: each file of a folder defines "main" of one page and is put
// into the frame. Files that begin with _ define parts for all pages.
type Pages struct {
	zone  *time.Location
	names []string
	sets  map[Lang]map[string]*template.Template
}

// NewPages parses the templates of some folders for every language. extra adds functions for templates.
func NewPages(folders []fs.FS, zone *time.Location, assets *Assets, extra func(Printer) template.FuncMap) (*Pages, error) {
	if assets == nil {
		return nil, ErrNoAssets
	}
	p := &Pages{zone: zone, sets: map[Lang]map[string]*template.Template{}}
	type file struct {
		folder fs.FS
		name   string
	}
	var shared, pages []file
	for _, folder := range folders {
		all, err := fs.Glob(folder, "*.html")
		if err != nil {
			return nil, fmt.Errorf("list page templates: %w", err)
		}
		for _, f := range all {
			if strings.HasPrefix(f, "_") {
				shared = append(shared, file{folder, f})
				continue
			}
			name := strings.TrimSuffix(f, ".html")
			if slices.Contains(p.names, name) {
				return nil, fmt.Errorf("there are two page templates %s", f)
			}
			p.names, pages = append(p.names, name), append(pages, file{folder, f})
		}
	}
	if len(p.names) == 0 {
		return nil, errors.New("there is no page template")
	}
	for _, lang := range Langs {
		pr := Printer{Lang: lang, Zone: zone}
		funcs := pr.funcs(assets)
		if extra != nil {
			maps.Copy(funcs, extra(pr))
		}
		base, err := template.New("frame").Funcs(funcs).ParseFS(partFiles, "parts/*.html")
		if err != nil {
			return nil, fmt.Errorf("parse the parts of pages: %w", err)
		}
		for _, f := range shared {
			if base, err = base.ParseFS(f.folder, f.name); err != nil {
				return nil, fmt.Errorf("parse shared template %s: %w", f.name, err)
			}
		}
		p.sets[lang] = map[string]*template.Template{}
		for i, f := range pages {
			n := p.names[i]
			t, err := base.Clone()
			if err != nil {
				return nil, fmt.Errorf("copy the parts of pages: %w", err)
			}
			if t, err = t.ParseFS(f.folder, f.name); err != nil {
				return nil, fmt.Errorf("parse page %s: %w", n, err)
			}
			p.sets[lang][n] = t
		}
	}
	return p, nil
}

// Names lists the pages.
func (p *Pages) Names() []string { return slices.Clone(p.names) }

// Printer is the printer of a language in the zone of the pages.
func (p *Pages) Printer(l Lang) Printer { return Printer{Lang: l, Zone: p.zone} }

// Render writes a whole page. Nothing is written when the template fails.
func (p *Pages) Render(w io.Writer, name string, f Frame, view any) error {
	return p.run(w, name, "frame.html", f, view)
}

// Part writes one named template of a page, for partial updates. Nothing is written when it fails.
func (p *Pages) Part(w io.Writer, name, part string, f Frame, view any) error {
	return p.run(w, name, part, f, view)
}

func (p *Pages) run(w io.Writer, name, part string, f Frame, view any) error {
	t, ok := p.sets[f.Lang][name]
	if !ok {
		return fmt.Errorf("there is no page %q in %q", name, f.Lang)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, part, struct {
		F Frame
		V any
	}{f, view}); err != nil {
		return fmt.Errorf("render page %s: %w", name, err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("send page %s: %w", name, err)
	}
	return nil
}

// funcs are the functions of every template, bound to one language.
func (p Printer) funcs(a *Assets) template.FuncMap {
	return template.FuncMap{
		"T": p.T, "K": p.K,
		"day": p.Day, "date": p.Date, "fullDate": p.FullDate, "weekday": p.Weekday, "clock": p.Clock, "clockSec": p.ClockSec,
		"dayTime": p.DayTime, "stamp": p.Stamp, "span": p.Span, "words": p.Words, "bytes": p.Bytes,
		"int": func(v any) string { return p.arg(v) },
		"pct": Pct, "asset": a.URL, "hide": Hide,
		"icon": icon, "badge": badge, "st": state, "note": func(kind, ic, text string) Note { return Note{Kind: kind, Icon: ic, Text: text} },
		"list": func(v ...any) []any { return v },
		"dict": dict, "join": func(s []string) string { return strings.Join(s, p.T("sep.list")) },
	}
}

// Pct is a position for SVG attributes: a part of the whole as per cent with three digits.
func Pct(v float64) string {
	s := fmt.Sprintf("%.3f", v*100)
	s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	return s + "%"
}

func icon(name string) template.HTML {
	return template.HTML(`<svg class="i" aria-hidden="true"><use href="#i-` + template.HTMLEscapeString(name) + `"/></svg>`)
}

func badge(kind, ic, text string) template.HTML { return mark("b", kind, ic, text) }
func state(kind, ic, text string) template.HTML { return mark("st", kind, ic, text) }

func mark(class, kind, ic, text string) template.HTML {
	return template.HTML(`<span class="`+class+` `+template.HTMLEscapeString(kind)+`">`) + icon(ic) + template.HTML(template.HTMLEscapeString(text)+`</span>`)
}

func dict(kv ...any) (map[string]any, error) {
	if len(kv)%2 != 0 {
		return nil, errors.New("dict wants pairs")
	}
	m := make(map[string]any, len(kv)/2)
	for i := 0; i < len(kv); i += 2 {
		k, ok := kv[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: key %v is not a string", kv[i])
		}
		m[k] = kv[i+1]
	}
	return m, nil
}

// Step is one step of a custody timeline: State done, now, next or bad.
type Step struct {
	State, Title, Text, When string
	Entry, EntryHref         string // log number of the step, and its page
}

// Pager is the foot of a list: what is shown, and the addresses of the neighbouring pages.
type Pager struct{ Text, Newer, Older string }
