package student

import (
	"slices"
	"strings"
	"testing"
)

const today = "2026-05-20"

// Number 110105194912310023-style examples of the standard; ours carry the county code 99, which is given to nobody.
func valid(first17 string) string { return first17 + string(IDCheckDigit(first17)) }

// Covers S3.
func TestIdentityNumbers(t *testing.T) {
	// Both examples of GB 11643-1999 itself.
	for n, want := range map[string]ID{
		"11010519491231002X": {Region: "110105", Birth: "1949-12-31", Sex: SexFemale},
		"440524188001010014": {},
	} {
		id, err := ParseID(n, today)
		if n[6:10] == "1880" { // right check digit, but nobody alive was born then
			if err == nil || err.Rule != "err.id_birth" {
				t.Errorf("1880: %v", err)
			}
			if IDCheckDigit(n[:17]) != n[17] {
				t.Error("check digit of the standard's second example")
			}
			continue
		}
		if err != nil || id != want {
			t.Errorf("ParseID(%s) = %+v, %v", n, id, err)
		}
	}
	good := valid("41999920170914002")
	for _, c := range []struct{ in, rule string }{
		{good, ""},
		{"", "err.required"},
		{"1.1E+17", "err.spreadsheet_number"},
		{"4.19999201709E+17", "err.spreadsheet_number"},
		{"419999170914002", "err.id_fifteen"},
		{good[:17], "err.id_length"},
		{good[:16] + "A" + good[17:], "err.id_characters"},
		{strings.ToLower(valid("41999920170914001")), ""},
		{"09" + good[2:], "err.id_region"},
		{valid("41999920170231002"), "err.id_birth"},
		{valid("41999920270914002"), "err.id_birth_future"},
		{good[:17] + string('0'+(good[17]-'0'+1)%10), "err.id_checksum"},
		{good[:10] + good[11:12] + good[10:11] + good[12:], "err.id_birth"}, // two digits swapped
	} {
		_, err := ParseID(c.in, today)
		if got := ruleOf(err == nil, err); got != c.rule && !(c.rule == "err.id_birth" && got == "err.id_checksum") {
			t.Errorf("ParseID(%q): %q, want %q", c.in, got, c.rule)
		}
	}
}

func ruleOf(ok bool, err interface{ Error() string }) string {
	if ok {
		return ""
	}
	rule, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "id_number: "), " ")
	return rule
}

// Covers S14: the name moves with the school year, the class does not.
func TestClassNames(t *testing.T) {
	c := NewClass(Primary, 2023, 3)
	for date, want := range map[string]string{
		"2023-08-31": "2023级3班", "2023-09-01": "一年级3班", "2026-05-20": "三年级3班",
		"2026-08-31": "三年级3班", "2026-09-01": "四年级3班", "2029-08-31": "六年级3班", "2029-09-01": "2023级3班",
	} {
		if got := c.Name(date); got != want {
			t.Errorf("on %s: %s, want %s", date, got, want)
		}
	}
	for in, want := range map[string]string{
		"三年级3班": "2023-03", "三年级（3）班": "2023-03", "三（3）班": "2023-03", "3年级3班": "2023-03", "2023级3班": "2023-03",
		"三年级三班": "2023-03", "三年级十二班": "2023-12", "七年级1班": "2025j-01", "初一1班": "2025j-01", "高三10班": "2023s-10",
		"初中2025级1班": "2025j-01", " 三年级 3 班 ": "2023-03",
		"三3班": "", "十三年级1班": "", "三年级": "", "三年级0班": "", "0年级1班": "", "": "", "班": "", "1899级1班": "", "三年级十十班": "",
	} {
		got, rule := Schooling(nil).ParseClass(in, today)
		if got.ID != want || (rule == "") != (want != "") {
			t.Errorf("ParseClass(%q) = %q, %q; want %q", in, got.ID, rule, want)
		}
	}
	for _, st := range []Stage{Primary, Junior, Senior} {
		c := NewClass(st, 2024, 7)
		for _, name := range []string{c.Name(today), c.YearName()} {
			if got, rule := Schooling(nil).ParseClass(name, today); got.ID != c.ID {
				t.Errorf("%s reads as %s (%s), want %s", name, got.ID, rule, c.ID)
			}
		}
	}
}

func TestEnrolmentEndsOnTheDayOfTransfer(t *testing.T) {
	e := Enrolment{From: "2025-09-01", To: "2026-03-02"}
	for date, want := range map[string]bool{"2025-08-31": false, "2025-09-01": true, "2026-03-01": true, "2026-03-02": false} {
		if e.On(date) != want {
			t.Errorf("on %s: %v", date, !want)
		}
	}
}

func TestCodeLists(t *testing.T) {
	for in, want := range map[string]string{"汉族": "01", "汉": "01", "1": "01", "基诺族": "56", "维吾尔": "05", "其他": "97", "56": "56", "57": "", "": ""} {
		if got, ok := ParseEthnicity(in); got != want || ok != (want != "") {
			t.Errorf("ParseEthnicity(%q) = %q", in, got)
		}
	}
	if len(ethnicities) != 56 {
		t.Errorf("%d ethnicities", len(ethnicities))
	}
	for in, want := range map[string]string{"2017-09-14": "2017-09-14", "2017/9/4": "2017-09-04", "20170914": "2017-09-14",
		"2017年9月14日": "2017-09-14", "42992": "2017-09-14", "2017.2.30": "", "2017": "", "201709": "", "09/14/2017": ""} {
		if got, ok := ParseDate(in); ok != (want != "") || ok && got != want {
			t.Errorf("ParseDate(%q) = %q, %v; want %q", in, got, ok, want)
		}
	}
}

// Covers S3, S5, S14: each bad cell is named by row, field and rule; good rows are read.
func TestRoster(t *testing.T) {
	id := func(serial string) string { return valid("4199992017091400" + serial) }
	head := []string{"姓名", "性别 ", "出生日期", "民族", "身份证号", "班级", "监护人1姓名", "监护人1关系", "监护人1电话", "卡号", "备注"}
	r := Schooling(nil).ReadRoster([][]string{
		head,
		{"示例一", "女", "2017-09-14", "汉", id("2"), "三年级1班", "示例母", "母亲", "13900000000", "04a2b3c4", "x"},
		{},
		{"示例二", "男", "2017/9/14", "", "4.19999201709E+17", "三年级1班"},
		{"示例三", "女", "2017-09-14", "汉", id("2"), "三年级1班"},
		{"示例四", "男", "2017-09-15", "汉", id("1"), "三年级9甲班", "示例父", "邻居", "1.39E+10"},
		{"", "x", "", "", "", ""},
		{"示例五", "男", "2017-09-14", "", id("3"), "三(2)班", "", "父亲"},
	}, today)
	if len(r.Rows) != 2 || r.Rows[0].Line != 2 || r.Rows[1].Line != 8 || !slices.Equal(r.Ignored, []string{"备注"}) {
		t.Fatalf("rows %+v, ignored %v", r.Rows, r.Ignored)
	}
	first := r.Rows[0]
	if first.Student.Ethnicity != "01" || first.Class.ID != "2023-01" || first.Card != "04A2B3C4" || len(first.Student.Guardians) != 1 ||
		first.Student.Guardians[0].Relation != Mother || len(r.Rows[1].Student.Guardians) != 0 {
		t.Errorf("first row %+v", first)
	}
	want := map[int][]string{
		4: {"id_number:err.spreadsheet_number"},
		5: {"id_number:err.roster_twice"},
		6: {"birth:err.id_birth_differs", "class:err.class_name", "guardian1_phone:err.spreadsheet_number", "guardian1_relation:err.relation"},
		7: {"birth:err.date", "class:err.required", "id_number:err.required", "name:err.required", "sex:err.sex"},
	}
	for _, f := range r.Faults {
		var got []string
		for _, e := range f.Errors {
			got = append(got, e.Field+":"+e.Rule)
		}
		slices.Sort(got)
		if !slices.Equal(got, want[f.Line]) {
			t.Errorf("line %d: %v, want %v", f.Line, got, want[f.Line])
		}
		delete(want, f.Line)
	}
	if len(want) > 0 {
		t.Errorf("no fault reported for %v", want)
	}
	for _, cells := range [][][]string{nil, {{"姓名"}}, {head}, {{"姓名", "姓名", "性别", "出生日期", "身份证号", "班级"}}} {
		if r := Schooling(nil).ReadRoster(cells, today); len(r.Faults) != 1 || r.Faults[0].Line != 1 {
			t.Errorf("%v: %+v", cells, r)
		}
	}
}

func TestErrorsNeverRepeatTheValue(t *testing.T) {
	s := Student{Name: "秘密\x01", Sex: "7", Birth: "secret", IDKind: IDResident, IDNumber: "secretsecretsecret", NationalNo: "secret", Phone: "secret",
		Ethnicity: "secret", Guardians: []Guardian{{Name: "secret1", Phone: "secret", Relation: "secret"}}}
	errs := s.Check(today)
	if len(errs) < 8 || strings.Contains(errs.Error(), "secret") || strings.Contains(errs.Error(), "秘密") {
		t.Errorf("%v", errs)
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("11010519491231002X")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseID(s, today); err == nil && (len(s) != 18 || !IsDate(id.Birth) || IDCheckDigit(s[:17]) != s[17]) {
			t.Errorf("accepted %q", s)
		}
	})
}

func FuzzParseClass(f *testing.F) {
	f.Add("三年级（3）班")
	f.Add("初一十二班")
	f.Fuzz(func(t *testing.T, s string) {
		c, rule := Schooling(nil).ParseClass(s, today)
		if rule != "" {
			return
		}
		if errs := c.Check(); len(errs) > 0 {
			t.Errorf("%q became %+v: %v", s, c, errs)
		}
		if back, _ := Schooling(nil).ParseClass(c.Name(today), today); back.ID != c.ID {
			t.Errorf("%q became %s, whose name %s reads as %s", s, c.ID, c.Name(today), back.ID)
		}
	})
}

func FuzzReadRoster(f *testing.F) {
	f.Add("姓名\t性别\t出生日期\t身份证号\t班级\n示例\t女\t2017-09-14\t1.1E+17\t三年级1班")
	f.Fuzz(func(t *testing.T, s string) {
		var cells [][]string
		for line := range strings.SplitSeq(s, "\n") {
			cells = append(cells, strings.Split(line, "\t"))
		}
		r := Schooling(nil).ReadRoster(cells, today)
		for _, row := range r.Rows {
			if errs := row.Student.Check(today); len(errs) > 0 || len(row.Class.Check()) > 0 {
				t.Errorf("row %d taken with %v", row.Line, errs)
			}
		}
		if len(r.Rows) == 0 && len(r.Faults) == 0 {
			t.Error("neither rows nor a reason")
		}
	})
}

// Class names are read by the school's own stages and lengths, or refused. Today is in the school year 2025.
func TestClassNamesByTheSchoolsStages(t *testing.T) {
	primary, junior := Schooling{{Primary, 6}}, Schooling{{Junior, 3}}
	five := Schooling{{Primary, 5}, {Junior, 4}}
	for _, c := range []struct {
		school   Schooling
		in, want string
	}{
		{nil, "2027届3班", "err.class_leaving"}, {primary, "2027届3班", "2021-03"}, {junior, "2027届3班", "2024j-03"}, {five, "2027届3班", "err.class_stage"},
		{five, "初中2027届3班", "2023j-03"}, {junior, "2024级3班", "2024j-03"}, {junior, "九年级3班", "2023j-03"}, {five, "2024级3班", "err.class_stage"},
		{five, "六年级1班", "2025j-01"}, {five, "九年级1班", "2022j-01"}, {primary, "六年级1班", "2020-01"}, {primary, "七年级1班", "err.class_gone"},
		{nil, "2010级1班", "err.class_gone"}, {nil, "2026级1班", "2026-01"}, {five, "五年级2班", "2021-02"}, {five, "小学2024级3班", "2024-03"},
	} {
		got, rule := c.school.ParseClass(c.in, today)
		if got.ID+rule != c.want {
			t.Errorf("%s in %v: %s %s, want %s", c.in, c.school, got.ID, rule, c.want)
		}
		if rule == "" && got.Entry <= 2025 && got.Grade(today) == 0 {
			t.Errorf("%s in %v has no grade today", c.in, c.school)
		}
	}
	c, _ := five.ParseClass("六年级1班", today)
	if c.Name(today) != "六年级1班" || c.Name("2026-09-01") != "七年级1班" || c.Name("2029-08-31") != "九年级1班" || c.Grade("2029-09-01") != 0 {
		t.Errorf("%+v is %s, then %s", c, c.Name(today), c.Name("2026-09-01"))
	}
	for ok, list := range map[bool][]Schooling{true: {nil, primary, junior, five, {{Primary, 6}, {Junior, 3}, {Senior, 3}}}, false: {{{Primary, 7}}, {{Primary, 5}, {Junior, 3}}, {{Junior, 3}, {Junior, 3}}, {{"nursery", 3}}}} {
		for _, s := range list {
			if (len(s.Check()) == 0) != ok {
				t.Errorf("%v: %v", s, s.Check())
			}
		}
	}
	rows := Schooling(nil).ReadRoster([][]string{{"姓名", "性别", "出生日期", "证件类型", "身份证件号", "班级"}, {"甲一", "女", "2010-09-14", "无", "", "九年级3班"}, {"乙一", "女", "2010-09-14", "无", "", "2024级3班"}}, today)
	if len(rows.Rows) != 1 || len(rows.Faults) != 1 || rows.Faults[0].Errors[0].Rule != "err.class_stage" {
		t.Errorf("a year without a stage beside another stage: %+v", rows.Faults)
	}
}
