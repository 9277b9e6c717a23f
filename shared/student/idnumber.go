package student

import (
	"regexp"
	"strings"

	"campuskeep/shared/lib/fielderr"
)

// IDKind is the kind of identity document.
type IDKind string

// The kinds of identity document. A residence permit of Hong Kong, Macao and Taiwan residents and a foreigner's
// permanent residence card carry eighteen digits after the same standard, so they are IDResident too.
const (
	IDNone     IDKind = ""
	IDResident IDKind = "resident" // GB 11643
	IDPassport IDKind = "passport"
	IDOther    IDKind = "other"
)

// ID is what a valid GB 11643 number says.
type ID struct {
	Region string // first six digits
	Birth  string // date
	Sex    Sex
}

// provinces are the first two digits that are in use (GB/T 2260; 81 to 83 are residence permits).
var provinces = map[string]bool{}

func init() {
	for _, p := range strings.Fields("11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83") {
		provinces[p] = true
	}
}

// spreadsheetNumber is what a spreadsheet makes of a long number that was typed as a number: 1.1E+17.
var spreadsheetNumber = regexp.MustCompile(`^[0-9]+([.,][0-9]+)?[eE]\+?[0-9]+$|^[0-9]+\.0+$`)

// IsSpreadsheetNumber says whether the text is a number as a spreadsheet shows it after it lost digits.
func IsSpreadsheetNumber(s string) bool { return spreadsheetNumber.MatchString(strings.TrimSpace(s)) }

// ParseID checks an identity number against GB 11643: eighteen places, a region in use, a birth date that
// exists and is not after today, and the check digit (ISO 7064 MOD 11-2). The error says which of these fails.
func ParseID(s, today string) (ID, *fielderr.Error) {
	fault := func(rule string, args ...any) (ID, *fielderr.Error) {
		return ID{}, &fielderr.Error{Field: "id_number", Rule: rule, Args: args}
	}
	switch {
	case s == "":
		return fault("err.required")
	case IsSpreadsheetNumber(s):
		return fault("err.spreadsheet_number")
	case len(s) == 15 && digits(s):
		return fault("err.id_fifteen")
	case len(s) != 18:
		return fault("err.id_length", 18)
	case !digits(s[:17]) || !digits(s[17:]) && s[17] != 'X':
		return fault("err.id_characters")
	case s[0] == '9' && !provinces[s[1:3]] || s[0] != '9' && !provinces[s[:2]]:
		return fault("err.id_region")
	}
	birth := s[6:10] + "-" + s[10:12] + "-" + s[12:14]
	switch {
	case !IsDate(birth) || birth < "1900-01-01":
		return fault("err.id_birth")
	case birth > today:
		return fault("err.id_birth_future")
	case s[17] != IDCheckDigit(s[:17]):
		return fault("err.id_checksum")
	}
	sex := SexMale
	if s[16]%2 == 0 {
		sex = SexFemale
	}
	return ID{Region: s[:6], Birth: birth, Sex: sex}, nil
}

// IDCheckDigit is the eighteenth place for seventeen digits.
func IDCheckDigit(first17 string) byte {
	sum := 0
	for i := range 17 {
		w := 1
		for range 17 - i {
			w = w * 2 % 11
		}
		sum += int(first17[i]-'0') * w
	}
	return "10X98765432"[sum%11]
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// CheckNationalNo gives the rule that a 学籍号 breaks, or nothing. The national number is G and the identity number; L
// marks a temporary one for pupils whose documents are still to be verified, with eighteen places of its own.
func CheckNationalNo(s, idNumber string) string {
	switch {
	case IsSpreadsheetNumber(s):
		return "err.spreadsheet_number"
	case len(s) != 19 || s[0] != 'G' && s[0] != 'L' || !digits(s[1:18]) || !digits(s[18:]) && s[18] != 'X':
		return "err.national_no"
	case s[0] == 'G' && len(idNumber) == 18 && s[1:] != idNumber:
		return "err.national_no_differs"
	}
	return ""
}
