package student

import (
	"fmt"
	"slices"
)

// RosterHead is the row of headings of the roster sheet.
func RosterHead() []string {
	var out []string
	for _, c := range Columns {
		out = append(out, c.Title)
	}
	return out
}

// RosterCells is a pupil as a row of the roster sheet, which ReadRoster reads back. Numbers of cards are not kept, so
// that column is empty.
func RosterCells(s Student, class string) []string {
	cell := map[string]string{"id": s.ID, "name": s.Name, "sex": sexWords[s.Sex], "birth": s.Birth, "id_kind": kindWords[s.IDKind], "id_number": s.IDNumber,
		"national_no": s.NationalNo, "class": class, "address": s.Address, "phone": s.Phone}
	if n, ok := EthnicityName(s.Ethnicity); ok {
		cell["ethnicity"] = n
	}
	for i, g := range s.Guardians {
		at := fmt.Sprintf("guardian%d_", i+1)
		cell[at+"name"], cell[at+"relation"], cell[at+"phone"], cell[at+"workplace"] = g.Name, relationNames[g.Relation], g.Phone, g.Workplace
	}
	out := make([]string, len(Columns))
	for i, c := range Columns {
		out[i] = cell[c.Field]
	}
	return out
}

// The words that a roster sheet is written with; reading takes more.
var (
	sexWords      = map[Sex]string{SexMale: "男", SexFemale: "女", SexUnstated: "9"}
	kindWords     = map[IDKind]string{IDResident: "居民身份证", IDPassport: "护照", IDOther: "其他", IDNone: "无"}
	relationNames = map[Relation]string{Father: "父亲", Mother: "母亲", Grandparent: "祖父母", Sibling: "兄弟姐妹", OtherKin: "其他监护人"}
)

// Merge is a registered pupil with what a row of a roster says: a column that is not there leaves things as they are, an
// empty cell clears them. Guardians beyond the two of the sheet stay, and so does what is known of one of the same name.
func Merge(was, row Student, fields map[string]bool) Student {
	s := was
	s.Name, s.Sex, s.Birth, s.IDNumber, s.IDKind = row.Name, row.Sex, row.Birth, row.IDNumber, row.IDKind
	for field, copyField := range map[string]func(){
		"ethnicity":   func() { s.Ethnicity = row.Ethnicity },
		"national_no": func() { s.NationalNo = row.NationalNo },
		"address":     func() { s.Address = row.Address },
		"phone":       func() { s.Phone = row.Phone },
	} {
		if fields[field] {
			copyField()
		}
	}
	if !fields["guardian1_name"] {
		return s
	}
	inSheet := 1
	if fields["guardian2_name"] {
		inSheet = 2
	}
	s.Guardians = nil
	for _, g := range row.Guardians {
		if i := slices.IndexFunc(was.Guardians, func(o Guardian) bool { return o.Name == g.Name }); i >= 0 {
			old := was.Guardians[i]
			g.Withheld, g.NoCollect = old.Withheld, old.NoCollect
			if !fields["guardian1_workplace"] {
				g.Workplace = old.Workplace
			}
		}
		s.Guardians = append(s.Guardians, g)
	}
	for _, g := range was.Guardians[min(inSheet, len(was.Guardians)):] {
		if !slices.ContainsFunc(s.Guardians, func(o Guardian) bool { return o.Name == g.Name }) {
			s.Guardians = append(s.Guardians, g)
		}
	}
	return s
}
