package people_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
)

// What schools' spreadsheets look like is taken, or refused with what is wrong (files made again, names neutral).
func TestRostersOfTheField(t *testing.T) {
	const taken = ""
	for file, want := range map[string]string{
		"card-hex-with-one-E.xlsx":       taken,
		"card-hex-with-one-E-7byte.xlsx": taken,
		"date-serial-with-fraction.xlsx": taken,
		"date-with-midnight.xlsx":        taken,
		"date1904-resident.xlsx":         taken,
		"id-with-apostrophe.xlsx":        taken,
		"id-with-nbsp.xlsx":              taken,
		"id-with-zero-width-space.xlsx":  taken,
		"merged-class-cell.xlsx":         taken,
		"name-katakana-dot.xlsx":         taken,
		"name-pua.xlsx":                  "err.name_characters",
		"phone-with-202d-202c.xlsx":      taken,
		"same-pupil-twice-no-id.xlsx":    taken,
		"title-row-above-headings.xlsx":  taken,
	} {
		t.Run(file, func(t *testing.T) {
			h := newEnv(t)
			b, err := os.ReadFile(filepath.Join("testdata", "roster", file))
			h.must(err)
			v, err := h.ReadRoster(bytes.NewReader(b))
			h.must(err)
			switch {
			case want != taken:
				if len(v.Faults) != 1 || v.Faults[0].Errors[0].Rule != want || !strings.Contains(v.Faults[0].Errors[0].Args[0].(string), "U+E") {
					t.Errorf("faults %+v", v.Faults)
				}
				return
			case len(v.Faults) > 0 || len(v.Rows) == 0:
				t.Fatalf("%d rows, faults %+v", len(v.Rows), v.Faults)
			}
			for _, r := range v.Rows {
				if r.Student.Birth != "2017-09-14" || strings.ContainsAny(r.Student.Name, "・･") || r.Class.ID == "" {
					t.Errorf("read as %+v of %s", r.Student, r.Class.ID)
				}
			}
			if twins := strings.HasPrefix(file, "same"); twins != (len(v.Asks) == 1) {
				t.Errorf("asked: %+v", v.Asks)
			} else if twins {
				if _, err := h.ImportRoster(t.Context(), account.System, v, "2025-09-01"); fieldOf(err) != "file:err.roster_same_pupil" {
					t.Errorf("imported unasked: %v", err)
				}
				v.Agreed = true
			}
			if _, err := h.ImportRoster(t.Context(), account.System, v, "2025-09-01"); err != nil {
				t.Errorf("import: %v", err)
			}
		})
	}
}

// A card number that may be decimal, or lost a part, is not taken for another one in silence.
func TestCardNumbersThatSayNothing(t *testing.T) {
	h := newEnv(t)
	head := []any{"姓名", "性别", "出生日期", "证件类型", "身份证件号", "班级", "卡号"}
	row := func(name string, card any) []any {
		return []any{name, "女", "2017-09-14", "无", "", "三年级1班", card}
	}
	for name, c := range map[string]struct {
		cards []any
		rule  string
	}{
		"decimal as printed":       {[]any{"0123456789", "0123456790"}, "err.card_digits"},
		"a number cell":            {[]any{123456789}, "err.card_digits"},
		"shortened":                {[]any{"04A2B3C4", "2B3C"}, "err.card_short"},
		"decimal among hex":        {[]any{"04A2B3C4", "0123456789"}, "err.card_digits"},
		"digits among hex":         {[]any{"04A2B3C4", "04112233"}, ""},
		"count of bits is stated":  {[]any{"32:12345678"}, ""},
		"digits of a 7-byte chip":  {[]any{"04:11:22:33:44:55:66", "04:A1:22:33:44:55:66"}, ""},
		"lost digits, as a number": {[]any{1.2345678901234567e19}, "err.spreadsheet_number"},
	} {
		t.Run(name, func(t *testing.T) {
			rows := [][]any{head}
			for i, card := range c.cards {
				rows = append(rows, row(string([]rune("甲乙丙")[i])+"一", card))
			}
			v, err := h.ReadRoster(sheet(t, rows...))
			h.must(err)
			var got fielderr.Errors
			for _, f := range v.Faults {
				got = append(got, f.Errors...)
			}
			if c.rule == "" && len(got) > 0 || c.rule != "" && (len(got) == 0 || got[len(got)-1].Rule != c.rule) {
				t.Errorf("faults %v, want %q", got, c.rule)
			}
		})
	}
}

// A birth in a workbook that counts from 1904, in a cell that is not styled as a date.
func TestRosterThatCountsFrom1904(t *testing.T) {
	h := newEnv(t)
	f, yes := excelize.NewFile(), true
	h.must(f.SetWorkbookProps(&excelize.WorkbookPropsOptions{Date1904: &yes}))
	h.must(f.SetSheetRow("Sheet1", "A1", &[]any{"姓名", "性别", "出生日期*", "证件类型", "身份证件号", "班级"}))
	h.must(f.SetSheetRow("Sheet1", "A2", &[]any{"甲一", "女", 41530, "无", "", "三年级1班"}))
	var b bytes.Buffer
	h.must(f.Write(&b))
	v, err := h.ReadRoster(&b)
	h.must(err)
	if len(v.Rows) != 1 || v.Rows[0].Student.Birth != "2017-09-14" {
		t.Errorf("%+v", v)
	}
}
