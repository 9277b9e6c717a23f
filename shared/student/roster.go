package student

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/shared/lib/fielderr"
)

// MaxRosterRows bounds one import, which is stored whole or not at all; a larger school imports grade by grade.
const MaxRosterRows = 1200

// Column is one column of the roster sheet.
type Column struct {
	Field    string // as in errors
	Title    string // heading in the sheet
	Required bool   // the column must be there
	Example  string // for the template
}

// Columns of the roster sheet, in the order of the template. The titles are those of the national pupil
// register where it has them. Other columns in a sheet are ignored and listed.
var Columns = []Column{
	{"name", "姓名", true, "示例一"},
	{"sex", "性别", true, "女"},
	{"birth", "出生日期", true, "2017-09-14"},
	{"ethnicity", "民族", false, "汉族"},
	{"id_kind", "证件类型", false, "居民身份证"},
	{"id_number", "身份证件号", true, "419999201709140024"},
	{"national_no", "学籍号", false, ""},
	{"class", "班级", true, "三年级1班"},
	{"address", "现住址", false, ""},
	{"phone", "联系电话", false, ""},
	{"guardian1_name", "监护人1姓名", false, ""},
	{"guardian1_relation", "监护人1关系", false, "母亲"},
	{"guardian1_phone", "监护人1电话", false, ""},
	{"guardian1_workplace", "监护人1单位", false, ""},
	{"guardian2_name", "监护人2姓名", false, ""},
	{"guardian2_relation", "监护人2关系", false, "父亲"},
	{"guardian2_phone", "监护人2电话", false, ""},
	{"guardian2_workplace", "监护人2单位", false, ""},
	{"card", "卡号", false, "04A2B3C4"},
	{"id", "学生编号", false, ""},
}

// otherTitles are headings that schools use for the same thing.
var otherTitles = map[string]string{
	"学生姓名": "name", "出生年月日": "birth", "出生年月": "birth", "身份证号": "id_number", "身份证号码": "id_number", "证件号码": "id_number",
	"证件号": "id_number", "身份证件类型": "id_kind", "全国学籍号": "national_no", "所在班级": "class", "班级名称": "class", "家庭住址": "address",
	"家庭地址": "address", "住址": "address", "手机": "phone", "电话": "phone", "校园卡号": "card", "IC卡号": "card",
	"监护人姓名": "guardian1_name", "监护人关系": "guardian1_relation", "监护人电话": "guardian1_phone", "工作单位": "guardian1_workplace",
	"监护人1工作单位": "guardian1_workplace", "监护人2工作单位": "guardian2_workplace",
}

var idKindWords = map[string]IDKind{
	"": IDResident, "居民身份证": IDResident, "身份证": IDResident, "港澳台居民居住证": IDResident, "外国人永久居留身份证": IDResident,
	"护照": IDPassport, "其他": IDOther, "港澳居民来往内地通行证": IDOther, "台湾居民来往大陆通行证": IDOther, "无": IDNone,
}

// Row is one pupil of a sheet, read but not yet stored.
type Row struct {
	Line    int    // as the spreadsheet counts, from 1
	ID      string // of a registered pupil, when the sheet names it
	Student Student
	Class   Class  // without teachers
	Card    string // as written

	unstaged bool // the class is named by its year alone, and the school's stages are not set
}

// RowFault is what is wrong with one line of the sheet; line 1 is the heading.
type RowFault struct {
	Line   int
	Errors fielderr.Errors
}

// Roster is a sheet after reading.
type Roster struct {
	Rows    []Row
	Fields  map[string]bool // the columns that are there
	Faults  []RowFault
	Ignored []string   // headings that mean nothing to us
	Asks    []RowFault // what a person must say before the import: the same pupil twice?
}

// headingsWithin is how far down the headings are looked for: titles are above them.
const headingsWithin = 10

// ReadRoster reads the cells of a sheet, as text; the headings are in the first row, or below a title. Each row is
// either in Rows or has its Faults; empty rows are skipped. today decides which class 三年级1班 is.
func (k Schooling) ReadRoster(cells [][]string, today string) Roster {
	var r Roster
	if len(cells) == 0 {
		r.Faults = append(r.Faults, RowFault{1, fielderr.Errors{{Field: "file", Rule: "err.roster_empty"}}})
		return r
	}
	head := headingRow(cells)
	columns, faults := r.headings(cells[head])
	r.Fields = map[string]bool{}
	for _, field := range columns {
		r.Fields[field] = true
	}
	if len(faults) > 0 {
		r.Faults = append(r.Faults, RowFault{head + 1, faults})
		return r
	}
	seen := map[string]int{}
	for i, line := range cells {
		if i <= head {
			continue
		}
		cell := cellsOf(line, columns)
		if len(cell) == 0 {
			continue
		}
		if len(r.Rows)+len(r.Faults) >= MaxRosterRows {
			r.Faults = append(r.Faults, RowFault{i + 1, fielderr.Errors{{Field: "file", Rule: "err.roster_long", Args: []any{MaxRosterRows}}}})
			return r
		}
		row, errs := k.readRow(cell, today)
		row.Line = i + 1
		for _, unique := range []struct{ field, value string }{{"id_number", row.Student.IDNumber}, {"card", row.Card}, {"national_no", row.Student.NationalNo}, {"id", row.ID}} {
			if unique.value == "" {
				continue
			}
			if first, twice := seen[unique.field+unique.value]; twice {
				errs.Add(unique.field, "err.roster_twice", first)
			} else {
				seen[unique.field+unique.value] = row.Line
			}
		}
		if len(errs) > 0 {
			r.Faults = append(r.Faults, RowFault{row.Line, errs})
			continue
		}
		if row.Student.IDNumber == "" && row.ID == "" {
			who := Twin(row.Student)
			if first, twice := seen[who]; twice {
				r.Asks = append(r.Asks, RowFault{row.Line, fielderr.Errors{{Field: "name", Rule: "err.roster_same_pupil", Args: []any{first}}}})
			} else {
				seen[who] = row.Line
			}
		}
		r.Rows = append(r.Rows, row)
	}
	r.cards()
	r.stages()
	if len(r.Rows)+len(r.Faults) == 0 {
		r.Faults = append(r.Faults, RowFault{1, fielderr.Errors{{Field: "file", Rule: "err.roster_empty"}}})
	}
	return r
}

// Twin is by what two pupils without identity documents are taken for the same.
func Twin(s Student) string { return s.Name + "\x00" + string(s.Sex) + "\x00" + s.Birth }

// headingRow is the row among the first that has most of our headings.
func headingRow(cells [][]string) int {
	best, most := 0, 0
	for i, line := range cells[:min(len(cells), headingsWithin)] {
		var r Roster
		if columns, _ := r.headings(line); len(columns) > most {
			best, most = i, len(columns)
		}
	}
	return best
}

// stages refuses classes named by their year alone beside classes of other stages: whose are they?
func (r *Roster) stages() {
	if !slices.ContainsFunc(r.Rows, func(row Row) bool { return !row.unstaged && row.Class.Stage != Primary }) {
		return
	}
	r.Rows = slices.DeleteFunc(r.Rows, func(row Row) bool {
		if row.unstaged {
			r.Faults = append(r.Faults, RowFault{row.Line, fielderr.Errors{{Field: "class", Rule: "err.class_stage"}}})
		}
		return row.unstaged
	})
	slices.SortStableFunc(r.Faults, func(a, b RowFault) int { return a.Line - b.Line })
}

// leastCard is how many hexadecimal digits a card number has: that of the shortest chips.
const leastCard = 8

// cards refuses card numbers that may be decimal or cut off: digits alone say nothing, unless numbers of the same
// length with letters are beside them.
func (r *Roster) cards() {
	lengths := map[int]bool{}
	for _, row := range r.Rows {
		if n := cardText(row.Card); strings.ContainsAny(n, "ABCDEF") {
			lengths[len(n)] = true
		}
	}
	kept := r.Rows[:0]
	for _, row := range r.Rows {
		n := cardText(row.Card)
		var errs fielderr.Errors
		switch {
		case n == "" || strings.Contains(n, ":"): // the count of bits is stated
		case digits(n) && !lengths[len(n)]:
			errs.Add("card", "err.card_digits")
		case len(n) < leastCard && strings.Trim(n, "0123456789ABCDEF") == "":
			errs.Add("card", "err.card_short", leastCard)
		}
		if len(errs) > 0 {
			r.Faults = append(r.Faults, RowFault{row.Line, errs})
			continue
		}
		kept = append(kept, row)
	}
	r.Rows = kept
	slices.SortStableFunc(r.Faults, func(a, b RowFault) int { return a.Line - b.Line })
}

// cardText is a card number without what people put between its bytes; "26:…" keeps its count of bits.
func cardText(s string) string {
	if strings.Count(s, ":") == 1 && !strings.ContainsAny(s, " -") {
		if n, _, _ := strings.Cut(s, ":"); len(n) != 2 || len(s) > 5 {
			return s
		}
	}
	return strings.NewReplacer(" ", "", ":", "", "-", "").Replace(s)
}

// fieldOf is a title as it is compared, and the field of its column; "" when there is none.
func fieldOf(title string) (plain, field string) {
	plain = strings.TrimRight(strings.ReplaceAll(narrow(strings.TrimSpace(title)), " ", ""), "*")
	field = otherTitles[plain]
	for _, c := range Columns {
		if c.Title == plain {
			field = c.Field
		}
	}
	return plain, field
}

// DateTitle says that a column with this title holds dates.
func DateTitle(title string) bool {
	_, field := fieldOf(title)
	return field == "birth"
}

// headings finds each column by its title.
func (r *Roster) headings(line []string) (columns map[int]string, errs fielderr.Errors) {
	columns = map[int]string{}
	found := map[string]bool{}
	for i, title := range line {
		title, field := fieldOf(title)
		if title == "" {
			continue
		}
		switch {
		case field == "":
			r.Ignored = append(r.Ignored, title)
		case found[field]:
			errs.Add(field, "err.roster_column_twice", title)
		default:
			columns[i], found[field] = field, true
		}
	}
	for _, c := range Columns {
		if c.Required && !found[c.Field] {
			errs.Add(c.Field, "err.roster_column", c.Title)
		}
	}
	return columns, errs
}

func cellsOf(line []string, columns map[int]string) map[string]string {
	cell := map[string]string{}
	for i, s := range line {
		if s = strings.TrimSpace(narrow(s)); s != "" && columns[i] != "" {
			cell[columns[i]] = s
		}
	}
	return cell
}

// dots are what keyboards and other systems give for the dot in names of minorities and foreigners.
var dots = strings.NewReplacer("‧", "·", "・", "·", "･", "·", "•", "·", "∙", "·", "⋅", "·", "᛫", "·", "●", "·")

func (k Schooling) readRow(cell map[string]string, today string) (Row, fielderr.Errors) {
	var errs fielderr.Errors
	row := Row{ID: strings.ToLower(cell["id"]), Card: strings.ToUpper(cell["card"]), unstaged: len(k) == 0 && byYear.MatchString(cell["class"]) && cell["class"][0] < 0x80}
	s := &row.Student
	s.Name = dots.Replace(cell["name"])
	s.Address, s.Phone = cell["address"], phoneText(cell["phone"])
	s.NationalNo = strings.ToUpper(strings.ReplaceAll(cell["national_no"], " ", ""))
	s.IDNumber = strings.ToUpper(strings.ReplaceAll(cell["id_number"], " ", ""))

	bad := map[string]bool{}
	refuse := func(field, rule string, args ...any) {
		errs.Add(field, rule, args...)
		bad[field] = true
	}
	var ok bool
	if s.Sex, ok = ParseSex(cell["sex"]); !ok {
		refuse("sex", "err.sex")
	}
	if s.IDKind, ok = idKindWords[cell["id_kind"]]; !ok {
		refuse("id_kind", "err.id_kind")
		bad["id_number"] = true
	}
	if s.Birth, ok = ParseDate(cell["birth"]); !ok {
		refuse("birth", "err.date")
	}
	if e := cell["ethnicity"]; e != "" {
		if s.Ethnicity, ok = ParseEthnicity(e); !ok {
			refuse("ethnicity", "err.ethnicity")
		}
	}
	if IsSpreadsheetNumber(row.Card) && strings.ContainsAny(row.Card, "+.,") { // 12E45678 is a good card number
		refuse("card", "err.spreadsheet_number")
	}
	switch c, rule := k.ParseClass(cell["class"], today); {
	case cell["class"] == "":
		refuse("class", "err.required")
	case rule != "":
		refuse("class", rule)
	default:
		row.Class = c
	}
	readGuardians(cell, s, refuse)
	for _, e := range s.Check(today) {
		if !bad[e.Field] {
			errs = append(errs, e)
		}
	}
	return row, errs
}

func readGuardians(cell map[string]string, s *Student, refuse func(field, rule string, args ...any)) {
	for n := 1; n <= 2; n++ {
		prefix := fmt.Sprintf("guardian%d_", n)
		g := Guardian{Name: dots.Replace(cell[prefix+"name"]), Phone: phoneText(cell[prefix+"phone"]), Workplace: cell[prefix+"workplace"]}
		word := cell[prefix+"relation"]
		if g.Name == "" && g.Phone == "" && g.Workplace == "" {
			continue // an example relation left in the row is no guardian
		}
		at := fmt.Sprintf("guardian%d_", len(s.Guardians)+1) // where Student.Check will look for it
		var ok bool
		if g.Relation, ok = ParseRelation(word); !ok {
			refuse(at+"relation", "err.relation")
		}
		s.Guardians = append(s.Guardians, g)
	}
}

// CleanName is a name as it is kept: the dots of other keyboards are ·, spaces at its ends are gone.
func CleanName(s string) string { return strings.TrimSpace(dots.Replace(narrow(s))) }

// CleanNumber is a number of an identity document as it is kept: capitals, nothing between them.
func CleanNumber(s string) string {
	return strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(narrow(s)), " ", ""))
}

// CleanPhone is a phone number as it is kept.
func CleanPhone(s string) string { return phoneText(strings.TrimSpace(narrow(s))) }

func phoneText(s string) string { return strings.NewReplacer(" ", "", "—", "-").Replace(s) }

// timeOfDay is what programs write behind a date.
var timeOfDay = regexp.MustCompile(`[ T]+\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?Z?$`)

// ParseDate reads a date as sheets carry it: 2017-09-14, 2017/9/14, 2017.9.14, 20170914, 2017年9月14日, each with or
// without a time of day, or the day number of a spreadsheet (days since 1899-12-30) between 1950 and 2078.
func ParseDate(s string) (date string, ok bool) {
	s = timeOfDay.ReplaceAllString(strings.TrimSpace(s), "")
	if n, err := strconv.ParseFloat(s, 64); err == nil && (len(s) == 5 || len(s) > 6 && s[5] == '.') && n > 18264 && n < 65380 {
		return time.Date(1899, 12, 30+int(n), 0, 0, 0, 0, time.UTC).Format(DateLayout), true
	}
	s = strings.TrimSuffix(strings.NewReplacer("年", "-", "月", "-", "/", "-", ".", "-").Replace(strings.TrimSpace(s)), "日")
	if len(s) == 8 && digits(s) {
		s = s[:4] + "-" + s[4:6] + "-" + s[6:]
	}
	f := strings.Split(s, "-")
	if len(f) != 3 || len(f[0]) != 4 {
		return "", false
	}
	for i := range f {
		if !digits(f[i]) || len(f[i]) > 4 {
			return "", false
		}
		f[i] = fmt.Sprintf("%02s", f[i])
	}
	s = strings.Join(f, "-")
	return s, IsDate(s)
}
