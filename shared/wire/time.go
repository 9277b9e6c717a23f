package wire

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// The centre's statement of the time is a signed note of three lines: a title, the nonce of the question as hex,
// and milliseconds since 1970. The nonce makes it younger than the question.
const timeTitle = "campuskeep time 1"

// SignTime makes the statement.
func SignTime(n Nonce, at time.Time, s note.Signer) ([]byte, error) {
	b, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%s\n%d\n", timeTitle, hex.EncodeToString(n[:]), at.UnixMilli())}, s)
	if err != nil {
		return nil, fmt.Errorf("sign the time: %w", err)
	}
	return b, nil
}

// OpenTime verifies the statement for the nonce that was asked with.
func OpenTime(b []byte, n Nonce, v note.Verifier) (time.Time, error) {
	opened, err := note.Open(b, note.VerifierList(v))
	if err != nil {
		return time.Time{}, fmt.Errorf("the centre's time: %w", err)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != timeTitle || lines[3] != "" {
		return time.Time{}, malformed("statement of the time")
	}
	if lines[1] != hex.EncodeToString(n[:]) {
		return time.Time{}, malformed("the statement of the time answers another question")
	}
	ms, err := strconv.ParseInt(lines[2], 10, 64)
	if err != nil || ms < 0 || strconv.FormatInt(ms, 10) != lines[2] {
		return time.Time{}, malformed("statement of the time")
	}
	return time.UnixMilli(ms).UTC(), nil
}
