package usage

import (
	"fmt"
	"regexp"
	"strconv"
)

// ApplicationID is the id of the n-th application of a year.
func ApplicationID(year, n int) string { return fmt.Sprintf("a%04d-%04d", year, n) }

var applicationID = regexp.MustCompile(`^a([0-9]{4})-([0-9]{4,9})$`)

// ParseApplicationID gives year and number; ok is false for anything ApplicationID does not make.
func ParseApplicationID(id string) (year, n int, ok bool) {
	m := applicationID.FindStringSubmatch(id)
	if m == nil {
		return 0, 0, false
	}
	year, err1 := strconv.Atoi(m[1])
	n, err2 := strconv.Atoi(m[2])
	if err1 != nil || err2 != nil || n < 1 || ApplicationID(year, n) != id {
		return 0, 0, false
	}
	return year, n, true
}

// Number is the application's number as documents print it: 视申〔2026〕047号. Empty before submission.
func (a Application) Number() string { return number("视申", a.Year, a.No) }

// NoticeNumber is the approval notice's number (F6): 视批〔2026〕032号. Empty before approval.
func (a Application) NoticeNumber() string {
	if a.Decision == nil {
		return ""
	}
	return number("视批", a.Decision.Year, a.Decision.No)
}

// NoticeCode is the notice's number as a code of the log: n2026-0032.
func (d Decision) NoticeCode() string { return fmt.Sprintf("n%04d-%04d", d.Year, d.No) }

func number(word string, year, n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s〔%04d〕%03d号", word, year, n)
}
