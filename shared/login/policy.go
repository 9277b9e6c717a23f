package login

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"campuskeep/shared/lib/fielderr"
)

// The limits of a password. Ten characters: a password guards one factor here, the lock-out slows guessing on
// the line, and Argon2id slows it on a stolen disk; eight (the least of NIST SP 800-63B) leaves no margin for
// the latter. No rules about kinds of characters: they make people write passwords down. The upper limit only
// keeps a request from hashing a book.
const (
	MinPassword = 10
	MaxPassword = 128
)

// common are the passwords that are tried first, in this country and in schools; one that contains little else
// is refused. The list is short on purpose: the lock-out allows so few guesses that only these matter.
var common = []string{
	"1234567890", "0987654321", "0123456789", "123123123", "1234554321", "1122334455", "5201314", "1314520",
	"password", "passw0rd", "qwertyuiop", "qwerty", "asdfghjkl", "zxcvbnm", "1qaz2wsx3edc", "1q2w3e4r5t", "qazwsxedc",
	"abcdefghij", "abc123456", "a123456789", "aa12345678", "woaini1314", "woaini", "iloveyou", "administrator", "admin",
	"letmein", "welcome", "xuexiao", "laoshi", "teacher", "student", "school", "campuskeep", "zhongguo", "beijing",
}

// CheckPassword says what is wrong with a new password of the person with this log-in name. field is the
// form's name for it.
func CheckPassword(field, password, loginName string) fielderr.Errors {
	var errs fielderr.Errors
	low := strings.ToLower(password)
	name := strings.ToLower(strings.TrimSpace(loginName))
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl):
		errs.Add(field, "err.password_characters")
	case n < MinPassword:
		errs.Add(field, "err.password_short", MinPassword)
	case n > MaxPassword:
		errs.Add(field, "err.password_long", MaxPassword)
	case name != "" && (low == name || len(name) >= 3 && strings.Contains(low, name)):
		errs.Add(field, "err.password_is_name")
	case monotonous(low) || mostlyCommon(low):
		errs.Add(field, "err.password_common")
	}
	return errs
}

// monotonous holds for a password of fewer than four different characters.
func monotonous(s string) bool {
	seen := map[rune]bool{}
	for _, r := range s {
		seen[r] = true
	}
	return len(seen) < 4
}

// mostlyCommon holds when a common password with fewer than four other characters around is all there is.
func mostlyCommon(s string) bool {
	for _, c := range common {
		if strings.Contains(s, c) && utf8.RuneCountInString(strings.ReplaceAll(s, c, "")) < 4 {
			return true
		}
	}
	return false
}
