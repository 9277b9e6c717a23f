package people_test

import (
	"errors"
	"fmt"
	"testing"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/student"
)

// A list that changes more rows than one change takes is refused in words, with both numbers; one row less is stored.
func TestMoreThanAnImportTakes(t *testing.T) {
	list := func(n int) (v people.Preview) {
		for i := range n {
			c := student.Class{ID: fmt.Sprintf("20%02d-%02d", 12+i/99, i%99+1)}
			v.Classes = append(v.Classes, c)
		}
		for i := range people.MaxAdded {
			s := student.Student{Name: "甲", Sex: student.SexFemale, Birth: "2017-09-14"}
			v.Rows = append(v.Rows, student.Row{Line: i + 2, Student: s, Class: v.Classes[i%n], Card: fmt.Sprintf("%08X", 0x0A000000+i)})
		}
		v.Agreed = true
		return v
	}
	h := newEnv(t)
	most := ledgerdb.MaxRows - 3*people.MaxAdded // classes, beside a pupil, an enrolment and a card each
	size := h.store.Size()
	_, err := h.ImportRoster(t.Context(), account.System, list(most+1), "2026-05-20")
	if errs, ok := errors.AsType[fielderr.Errors](err); !ok || errs[0].Rule != "err.change_rows" || errs[0].Args[0] != ledgerdb.MaxRows+1 || errs[0].Args[1] != ledgerdb.MaxRows {
		t.Errorf("one class too many: %v", err)
	}
	if h.store.Size() != size || h.Students() != 0 {
		t.Errorf("%d pupils are stored of a list that was refused", h.Students())
	}
	if ids, err := h.ImportRoster(t.Context(), account.System, list(most), "2026-05-20"); err != nil || len(ids) != people.MaxAdded {
		t.Errorf("%d pupils with %d classes: %v", len(ids), most, err)
	}
}

// The preview of a spreadsheet says so before anybody confirms it.
func TestThePreviewOfTooManyRows(t *testing.T) {
	h := newEnv(t)
	rows := [][]any{{"姓名", "性别", "出生日期", "证件类型", "身份证件号", "班级", "卡号"}}
	for i := range people.MaxAdded {
		rows = append(rows, []any{"甲", "女", fmt.Sprintf("20%02d-%02d-%02d", 8+i/360, i/28%12+1, i%28+1), "无", "", fmt.Sprintf("%d级%d班", 2020+i%6, i/6%99+1), fmt.Sprintf("%08X", 0x0A000000+i)})
	}
	v, err := h.ReadRoster(sheet(t, rows...))
	h.must(err)
	for _, f := range v.Faults {
		if f.Line == 0 && len(f.Errors) == 1 && f.Errors[0].Rule == "err.change_rows" {
			return
		}
	}
	t.Errorf("%d rows, %d classes, %d faults", len(v.Rows), len(v.Classes), len(v.Faults))
}
