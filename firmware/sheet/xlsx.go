package sheet

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Limits of what is taken from a file, whatever it claims to hold.
const (
	maxRows    = 5000
	maxColumns = 256
	maxCells   = 200_000
	maxStrings = 300_000 // in the table of shared strings
	maxStyles  = 70_000  // more than a spreadsheet program keeps
	maxMerged  = 10_000
	maxTag     = 32 << 10 // bytes of one tag with its attributes
	maxText    = 1 << 20  // bytes of one piece of text
	maxDepth   = 64
)

var (
	errLarge = errors.New("the spreadsheet holds more than is taken")
	errForm  = errors.New("not a spreadsheet")
)

// book is an .xlsx file that is read part by part. left is how many more bytes may be unpacked.
type book struct {
	parts map[string]*zip.File
	left  int64

	from1904 bool
	shared   []string
	dates    []bool            // by style: shows a number as a date
	dated    func(string) bool // a heading of a column of dates; nil: there is none
}

func openBook(b []byte, unpacked int64, dated func(string) bool) (*book, error) {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, errForm
	}
	k := &book{parts: map[string]*zip.File{}, left: unpacked, dated: dated}
	for _, f := range z.File {
		k.parts[strings.ToLower(strings.TrimPrefix(f.Name, "/"))] = f
	}
	return k, nil
}

// cells gives the first sheet.
func (k *book) cells() ([][]string, error) {
	rels, err := k.relations("_rels/.rels")
	if err != nil {
		return nil, err
	}
	workbook := rels.one("/officeDocument", "xl/workbook.xml")
	dir := path.Dir(workbook)
	if rels, err = k.relations(dir + "/_rels/" + path.Base(workbook) + ".rels"); err != nil {
		return nil, err
	}
	first, err := k.workbook(workbook)
	if err != nil {
		return nil, err
	}
	if err := k.styles(rels.within(dir, "/styles", "styles.xml")); err != nil {
		return nil, err
	}
	if err := k.strings(rels.within(dir, "/sharedStrings", "sharedStrings.xml")); err != nil {
		return nil, err
	}
	r, ok := rels[first]
	if !ok {
		return nil, errForm
	}
	return k.sheet(r.path(dir))
}

// relation is one line of a .rels part.
type relation struct{ kind, target string }

type relations map[string]relation

func (r relation) path(dir string) string {
	if strings.HasPrefix(r.target, "/") {
		return r.target[1:]
	}
	return path.Join(dir, r.target)
}

func (r relations) within(dir, kind, otherwise string) string {
	for _, x := range r {
		if strings.HasSuffix(x.kind, kind) {
			return x.path(dir)
		}
	}
	return path.Join(dir, otherwise)
}

func (r relations) one(kind, otherwise string) string { return r.within("", kind, otherwise) }

func (k *book) relations(name string) (relations, error) {
	out := relations{}
	err := k.walk(name, func(e element) error {
		if e.start && e.name == "Relationship" && len(out) < 1000 {
			out[e.attr("Id")] = relation{e.attr("Type"), e.attr("Target")}
		}
		return nil
	})
	return out, err
}

// workbook gives the relation of the first sheet.
func (k *book) workbook(name string) (first string, err error) {
	if k.parts[strings.ToLower(name)] == nil {
		return "", errForm
	}
	err = k.walk(name, func(e element) error {
		switch {
		case e.start && e.name == "workbookPr":
			k.from1904 = truth(e.attr("date1904"))
		case e.start && e.name == "sheet" && first == "":
			first = e.attr("id")
		}
		return nil
	})
	return first, err
}

func truth(s string) bool { return s == "1" || s == "true" }

// styles notes which of them show a number as a date.
func (k *book) styles(name string) error {
	custom := map[string]bool{}
	inside := false
	return k.walk(name, func(e element) error {
		switch {
		case e.name == "cellXfs":
			inside = e.start
		case e.start && e.name == "numFmt" && len(custom) < maxStyles:
			custom[e.attr("numFmtId")] = showsDate(e.attr("formatCode"))
		case e.start && e.name == "xf" && inside:
			if len(k.dates) >= maxStyles {
				return errLarge
			}
			id := e.attr("numFmtId")
			date, known := custom[id]
			k.dates = append(k.dates, known && date || !known && datesByNumber[id])
		}
		return nil
	})
}

// datesByNumber are the formats that every program has, those of Chinese ones among them.
var datesByNumber = func() map[string]bool {
	out := map[string]bool{}
	for _, span := range [][2]int{{14, 17}, {22, 22}, {27, 31}, {36, 36}, {50, 54}, {57, 58}} {
		for n := span[0]; n <= span[1]; n++ {
			out[strconv.Itoa(n)] = true
		}
	}
	return out
}()

var notFormat = regexp.MustCompile(`"[^"]*"|\[[^\]]*\]|\\.|_.|\*.`)

// showsDate says that a format code has a year or a day.
func showsDate(code string) bool {
	return strings.ContainsAny(strings.ToLower(notFormat.ReplaceAllString(code, "")), "yd")
}

// strings reads the table of shared strings; a file may have none.
func (k *book) strings(name string) error {
	var text strings.Builder
	inside, reading := false, 0
	return k.walk(name, func(e element) error {
		switch e.name {
		case "si":
			if inside = e.start; !inside {
				if len(k.shared) >= maxStrings {
					return errLarge
				}
				k.shared = append(k.shared, clean(text.String()))
				text.Reset()
			}
		case "rPh": // how it is said, not what it says
			reading += step(e.start)
		case "":
			if inside && reading == 0 && e.within == "t" {
				text.Write(e.text)
			}
		}
		return nil
	})
}

func step(start bool) int {
	if start {
		return 1
	}
	return -1
}

// sheet reads the cells, with merged ones written down as far as they reach.
func (k *book) sheet(name string) ([][]string, error) {
	if k.parts[strings.ToLower(name)] == nil {
		return nil, errForm
	}
	var rows [][]string
	var merged []string
	var row, column, cells int
	var kind, style string
	var value strings.Builder
	var dates [maxColumns + 1]bool // by column, from its heading down
	reading := 0
	put := func(row, column int, s string) error {
		if s == "" {
			return nil
		}
		if cells++; row > maxRows || column > maxColumns || cells > maxCells {
			return errLarge
		}
		for len(rows) < row {
			rows = append(rows, nil)
		}
		for len(rows[row-1]) < column {
			rows[row-1] = append(rows[row-1], "")
		}
		rows[row-1][column-1] = s
		return nil
	}
	err := k.walk(name, func(e element) error {
		switch e.name {
		case "row":
			if e.start {
				row, column = row+1, 0
				if n, err := strconv.Atoi(e.attr("r")); err == nil && n > 0 {
					row = n
				}
			}
		case "c":
			if e.start {
				column++
				if c, r, ok := place(e.attr("r")); ok {
					column, row = c, r
				}
				kind, style = e.attr("t"), e.attr("s")
				value.Reset()
				return nil
			}
			s, err := k.value(kind, style, value.String())
			switch {
			case err != nil:
				return err
			case column > maxColumns:
			case kind == "" || kind == "n":
				if n, err := strconv.ParseFloat(s, 64); err == nil && dates[column] && k.plausible(n) {
					s = k.day(n)
				}
			case k.dated != nil && row <= headingsWithin && k.dated(s):
				dates[column] = true
			}
			return put(row, column, s)
		case "rPh":
			reading += step(e.start)
		case "mergeCell":
			if e.start && len(merged) < maxMerged {
				merged = append(merged, e.attr("ref"))
			}
		case "":
			if reading == 0 && (e.within == "v" || e.within == "t") {
				value.Write(e.text)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, ref := range merged {
		a, b, _ := strings.Cut(ref, ":")
		column, from, ok := place(a)
		_, to, okTo := place(b)
		if !ok || !okTo || from > len(rows) || column > len(rows[from-1]) {
			continue
		}
		for r := from + 1; r <= min(to, len(rows)); r++ {
			if column > len(rows[r-1]) || rows[r-1][column-1] == "" {
				if err := put(r, column, rows[from-1][column-1]); err != nil {
					return nil, err
				}
			}
		}
	}
	return rows, nil
}

// place reads "C7" as column 3, row 7.
func place(ref string) (column, row int, ok bool) {
	i := 0
	for ; i < len(ref) && i < 4 && ref[i]|0x20 >= 'a' && ref[i]|0x20 <= 'z'; i++ {
		column = 26*column + int(ref[i]|0x20-'a') + 1
	}
	row, err := strconv.Atoi(ref[i:])
	return column, row, err == nil && i > 0 && row > 0
}

// value is what a cell holds, as text.
func (k *book) value(kind, style, v string) (string, error) {
	switch kind {
	case "s":
		n, err := strconv.Atoi(strings.TrimSpace(v))
		if err != nil || n < 0 || n >= len(k.shared) {
			return "", nil // a cell that refers to nothing is empty
		}
		return k.shared[n], nil
	case "", "n":
		s, err := strconv.Atoi(style)
		return k.number(strings.TrimSpace(v), err == nil && s >= 0 && s < len(k.dates) && k.dates[s]), nil
	case "inlineStr", "str", "d", "b", "e":
		return clean(v), nil
	}
	return "", errForm
}

// number writes a number so that what it cannot be trusted for shows: a date as a date, and one that lost digits
// as 4.2E+17.
func (k *book) number(v string, date bool) string {
	n, err := strconv.ParseFloat(v, 64)
	switch {
	case err != nil || math.IsInf(n, 0) || math.IsNaN(n):
		return v
	case date && n >= 1 && n < 2_958_466: // the end of the year 9999
		return k.day(n)
	case math.Abs(n) >= 1e15:
		return strconv.FormatFloat(n, 'E', -1, 64)
	case n == math.Trunc(n):
		return strconv.FormatInt(int64(n), 10)
	}
	return v
}

// since1904 is how many days a workbook that counts from 1904 is behind others.
const since1904 = 1462

// plausible says that a number below a heading of dates is the number of a day between 1950 and 2078, and not a year
// or 20170914.
func (k *book) plausible(n float64) bool {
	if k.from1904 {
		n += since1904
	}
	return n > 18264 && n < 65380
}

// day is the date of a day number, with the time when it has one.
func (k *book) day(n float64) string {
	if k.from1904 {
		n += since1904
	}
	days, part := math.Modf(n)
	t := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).AddDate(0, 0, int(days)).Add(time.Duration(math.Round(part*86400)) * time.Second)
	if t.Hour()+t.Minute()+t.Second() == 0 {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.DateTime)
}

// element is a beginning or an end of one, or text (name "") within one.
type element struct {
	name   string
	start  bool
	attrs  []xml.Attr
	text   []byte
	within string
}

func (e element) attr(name string) string {
	for _, a := range e.attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// walk reads one part, piece by piece. A part that is not there has nothing in it.
func (k *book) walk(name string, see func(element) error) (err error) {
	f := k.parts[strings.ToLower(name)]
	if f == nil {
		return nil
	}
	r, err := f.Open()
	if err != nil {
		return errForm
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	g := &guard{r: r, left: &k.left}
	d := xml.NewDecoder(g)
	d.CharsetReader = func(string, io.Reader) (io.Reader, error) { return nil, errForm }
	var inside []string
	for {
		t, err := d.RawToken() // Token keeps what it is inside of, without bound
		switch {
		case err == io.EOF:
			return nil
		case err != nil && g.large: // the decoder has an error of its own for a part that ends so
			return errLarge
		case err != nil:
			return errForm
		}
		e := element{}
		switch t := t.(type) {
		case xml.StartElement:
			if inside = append(inside, t.Name.Local); len(inside) > maxDepth {
				return errForm
			}
			e = element{name: t.Name.Local, start: true, attrs: t.Attr}
		case xml.EndElement:
			if len(inside) == 0 || inside[len(inside)-1] != t.Name.Local {
				return errForm
			}
			inside = inside[:len(inside)-1]
			e = element{name: t.Name.Local}
		case xml.CharData:
			if len(inside) == 0 {
				continue
			}
			e = element{text: t, within: inside[len(inside)-1]}
		default:
			continue
		}
		if err := see(e); err != nil {
			return err
		}
	}
}

// guard ends a part that unpacks to too much, or has a tag or a text that nobody writes: the decoder keeps each whole.
type guard struct {
	r     io.Reader
	left  *int64
	in    bool // a tag
	quote byte
	run   int
	large bool
}

func (g *guard) Read(b []byte) (int, error) {
	n, err := g.r.Read(b)
	if *g.left -= int64(n); *g.left < 0 {
		g.large = true
		return 0, errLarge
	}
	for _, c := range b[:n] {
		g.run++
		switch {
		case g.in && g.quote != 0:
			if c == g.quote {
				g.quote = 0
			}
		case g.in && (c == '"' || c == '\''):
			g.quote = c
		case g.in && c == '>', !g.in && c == '<':
			g.in, g.run = !g.in, 0
		}
		if g.in && g.run > maxTag || g.run > maxText {
			g.large = true
			return 0, errLarge
		}
	}
	return n, err
}
