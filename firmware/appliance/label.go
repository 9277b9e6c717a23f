package appliance

import (
	"bytes"
	"campuskeep/shared/lib/qr"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"os"
	"strings"
)

// labelFile is where the label sheet lies when nobody says otherwise.
const labelFile = "label.html"

//go:embed label.html
var labelText string

var labelPage = template.Must(template.New("label").Parse(labelText))

// label is what is printed on one A4 sheet and kept with the box: how to reach it, how to recognise it, and the code
// that makes the first administrator.
type label struct {
	ID, School  string
	Address     string
	Code        string
	Fingerprint []string // of the root certificate, in fours
	LogKey      string
	QR          qr.Code // of the address
}

// writeLabel writes the sheet to a file that only its owner reads: it holds the set-up code.
func writeLabel(file string, l label) (err error) {
	if l.QR, err = qr.Draw(l.Address); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := labelPage.Execute(&b, l); err != nil {
		return fmt.Errorf("draw the label sheet: %w", err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write the label sheet: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Chmod(0o600); err != nil { // one that was there before
		return err
	}
	if _, err = f.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write the label sheet: %w", err)
	}
	return nil
}

// groupFingerprint splits a fingerprint into groups of four characters.
func groupFingerprint(s string) (out []string) {
	for s = strings.ToUpper(s); len(s) > 4; s = s[4:] {
		out = append(out, s[:4])
	}
	return append(out, s)
}
