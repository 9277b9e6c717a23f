package footage

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"campuskeep/shared/lib/fielderr"
)

// Areas lists where a camera may look, in the order of the form.
var Areas = []Area{AreaGate, AreaPerimeter, AreaPublic, AreaCorridor, AreaClassroom, AreaLaboratory, AreaPlayground, AreaCanteen}

// PrivateAreas lists where none may be (F2).
var PrivateAreas = []Area{AreaDormitoryRoom, AreaOffice, AreaToilet, AreaChangingRoom}

// Private says whether a camera in this area is forbidden (F2).
func (a Area) Private() bool { return slices.Contains(PrivateAreas, a) }

// MinDays is the floor of every policy (F3); MaxDays keeps a slip of the hand from keeping footage for ever.
const (
	MinDays = 30
	MaxDays = 365
)

var (
	cameraID = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	pinRule  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	gbCode   = regexp.MustCompile(`^[0-9]{20}$`)
)

// Validate says what is wrong with a camera's row; nil when nothing is. The rules are keys of the text
// catalogue.
func Validate(c Camera) error {
	var e fielderr.Errors
	if !cameraID.MatchString(c.ID) {
		e.Add("id", "err.camera_id")
	}
	CheckText(&e, "name", c.Name, 1, 64)
	CheckText(&e, "place", c.Place, 1, 64)
	CheckText(&e, "group", c.Group, 0, 64)
	CheckText(&e, "installer", c.Installer, 0, 128)
	switch {
	case c.Area.Private():
		e.Add("area", "err.area_private", string(c.Area))
	case !slices.Contains(Areas, c.Area):
		e.Add("area", "err.area_unknown")
	}
	switch c.Custody {
	case CustodyVault:
		if c.Main == "" {
			e.Add("main", "err.required")
		}
	case CustodyNVR, CustodyFolder:
	default:
		e.Add("custody", "err.custody_unknown")
	}
	address(&e, "main", c.Main)
	address(&e, "sub", c.Sub)
	still(&e, c.Still)
	secure := strings.HasPrefix(c.Main, "rtsps:") || strings.HasPrefix(c.Sub, "rtsps:")
	switch {
	case c.Transport != "" && c.Transport != "tcp" && c.Transport != "udp":
		e.Add("transport", "err.transport")
	case c.Transport == "udp" && secure:
		e.Add("transport", "err.transport_tls")
	}
	switch {
	case c.Pin != "" && !pinRule.MatchString(c.Pin):
		e.Add("pin", "err.pin")
	case c.Pin != "" && !secure && !strings.HasPrefix(c.Still, "https:"):
		e.Add("pin", "err.pin_plain")
	}
	if c.Policy.Days < MinDays || c.Policy.Days > MaxDays {
		e.Add("days", "err.days_range", MinDays, MaxDays)
	} else if c.Policy.Days > MinDays && strings.TrimSpace(c.Policy.Reason) == "" {
		e.Add("reason", "err.days_reason", MinDays)
	}
	CheckText(&e, "reason", c.Policy.Reason, 0, 200)
	switch {
	case c.Sound && c.Custody != CustodyVault: // what others record comes to us without its sound
		e.Add("sound", "err.sound_custody")
	case c.Sound && strings.TrimSpace(c.SoundReason) == "":
		e.Add("sound_reason", "err.sound_reason")
	}
	CheckText(&e, "sound_reason", c.SoundReason, 0, 200)
	if c.Kbps < 0 || c.Kbps > 100_000 {
		e.Add("kbps", "err.range", 0, 100_000)
	}
	if c.Priority < 0 || c.Priority > 9 {
		e.Add("priority", "err.range", 0, 9)
	}
	if c.Installed != "" {
		if _, err := time.Parse(time.DateOnly, c.Installed); err != nil {
			e.Add("installed", "err.date")
		}
	}
	if c.GBCode != "" && !gbCode.MatchString(c.GBCode) {
		e.Add("gb_code", "err.gb_code")
	}
	return e.Err()
}

// CheckText notes what a line of least to most characters must not hold.
func CheckText(e *fielderr.Errors, field, s string, least, most int) {
	switch n := utf8.RuneCountInString(s); {
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }):
		e.Add(field, "err.text")
	case n < least:
		e.Add(field, "err.required")
	case n > most:
		e.Add(field, "err.too_long", most)
	}
}

// address checks a stream address. Credentials in it would end up in rows and logs; they are kept sealed.
func address(e *fielderr.Errors, field, s string) {
	if s == "" {
		return
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "rtsp" && u.Scheme != "rtsps" || u.Host == "" || u.Fragment != "":
		e.Add(field, "err.rtsp_address")
	case u.User != nil:
		e.Add(field, "err.rtsp_credentials")
	}
}

// secret are the names under which cameras take a password in the address.
var secret = []string{"password", "passwd", "pwd", "pass", "user", "username", "usr", "token", "auth", "session"}

// still checks the address of a camera's own JPEG. It is in rows that are exported as spreadsheets, so a password
// has no place in it, not even as a parameter.
func still(e *fielderr.Errors, s string) {
	if s == "" {
		return
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Fragment != "" || len(s) > 512 {
		e.Add("still", "err.still_address")
		return
	}
	for name := range u.Query() {
		if slices.Contains(secret, strings.ToLower(name)) {
			e.Add("still", "err.rtsp_credentials")
			return
		}
	}
	if u.User != nil {
		e.Add("still", "err.rtsp_credentials")
	}
}
