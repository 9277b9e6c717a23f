package site

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
)

// ReaderKind says how a reader is connected.
type ReaderKind string

// The kinds of readers. OSDP is empty because rows of earlier versions name no kind.
const (
	ReaderOSDP      ReaderKind = ""          // serial line and address
	ReaderWiegand   ReaderKind = "wiegand"   // two GPIO lines
	ReaderIclock    ReaderKind = "iclock"    // network terminal that calls the appliance
	ReaderHikvision ReaderKind = "hikvision" // network terminal that the appliance asks
)

// ReaderKinds lists the kinds in the order of the form.
var ReaderKinds = []ReaderKind{ReaderOSDP, ReaderWiegand, ReaderIclock, ReaderHikvision}

// WiegandFormats are the lengths that a Wiegand reader may be set to.
var WiegandFormats = []int{26, 34, 37, 66}

// ReaderBauds are the speeds of an OSDP line; 0 leaves it to the configuration, 9600 where that says nothing.
var ReaderBauds = []int{0, 9600, 19200, 38400, 57600, 115200, 230400}

// MaxReaders is the most readers that one appliance serves.
const MaxReaders = 64

// Reader is a card reader (design §8).
type Reader struct {
	ID         string               `json:"id"` // r01 …
	Name       string               `json:"name"`
	Place      string               `json:"place,omitempty"`
	Direction  attendance.Direction `json:"direction"`
	Kind       ReaderKind           `json:"kind,omitempty"`
	Port       string               `json:"port"`           // serial port of the OSDP line
	Baud       int                  `json:"baud,omitempty"` // of the line; see ReaderBauds
	Address    int                  `json:"address"`        // on the line, 0 to 126
	Secure     bool                 `json:"secure,omitempty"`
	D0         string               `json:"d0,omitempty"` // Wiegand: GPIO lines of the zeros and of the ones
	D1         string               `json:"d1,omitempty"`
	Format     int                  `json:"format,omitempty"`     // Wiegand: see WiegandFormats
	Serial     string               `json:"serial,omitempty"`     // terminal: its serial number
	Host       string               `json:"host,omitempty"`       // terminal: its address; host:port for Hikvision
	Turned     bool                 `json:"turned,omitempty"`     // gives the bytes of a card number in the other order
	Technician string               `json:"technician,omitempty"` // person who is named for it
	Retired    bool                 `json:"retired,omitempty"`
}

// readerSecret is what a reader's line or log-in needs, sealed under the reader's key.
type readerSecret struct {
	Reader string `json:"reader"`
	Login
	SCBK []byte `json:"scbk,omitempty"` // OSDP secure channel base key, 16 bytes
	// Placed says that the reader is known to hold the key: it is not set again.
	Placed bool `json:"placed,omitempty"`
	// Token is SHA-256 of the access code of a terminal that calls; the code itself is kept nowhere.
	Token []byte `json:"token,omitempty"`
}

func readerOwner(id string) string { return "reader:" + id }

var (
	gpioRule   = regexp.MustCompile(`^[A-Za-z0-9_]{1,32}$`)
	serialRule = regexp.MustCompile(`^[A-Za-z0-9]{4,32}$`)
)

func (r Reader) check(all []Reader) (errs fielderr.Errors) {
	checkID(&errs, r.ID)
	checkName(&errs, r.Name)
	if utf8.RuneCountInString(r.Place) > 40 {
		errs.Add("place", "err.too_long", 40)
	}
	if r.Direction != attendance.In && r.Direction != attendance.Out && r.Direction != attendance.Auto {
		errs.Add("direction", "err.direction")
	}
	switch r.Kind {
	case ReaderOSDP:
		r.checkLine(&errs)
	case ReaderWiegand:
		if !gpioRule.MatchString(r.D0) {
			errs.Add("d0", "err.gpio")
		}
		if !gpioRule.MatchString(r.D1) || r.D1 == r.D0 {
			errs.Add("d1", "err.gpio")
		}
		if !slices.Contains(WiegandFormats, r.Format) {
			errs.Add("format", "err.choice")
		}
	case ReaderIclock:
		if !serialRule.MatchString(r.Serial) {
			errs.Add("serial", "err.reader_serial")
		}
		if _, err := netip.ParseAddr(r.Host); err != nil {
			errs.Add("host", "err.reader_address")
		}
	case ReaderHikvision:
		if !hostOrHostPort(r.Host) {
			errs.Add("host", "err.reader_host")
		}
	default:
		errs.Add("kind", "err.choice")
	}
	if !r.Retired {
		r.checkTaken(&errs, all)
	}
	return errs
}

func (r Reader) checkLine(errs *fielderr.Errors) {
	if !strings.HasPrefix(r.Port, "/") {
		errs.Add("port", "err.port")
	}
	if !slices.Contains(ReaderBauds, r.Baud) {
		errs.Add("baud", "err.choice")
	}
	if r.Address < 0 || r.Address > 126 { // 127 is the broadcast address of OSDP
		errs.Add("address", "err.range", 0, 126)
	}
}

// checkTaken refuses what another reader in service has: an address, a GPIO line, a terminal.
func (r Reader) checkTaken(errs *fielderr.Errors, all []Reader) {
	n := 0
	for _, o := range all {
		if o.ID == r.ID || o.Retired {
			continue
		}
		n++
		switch {
		case o.Kind != r.Kind:
		case r.Kind == ReaderOSDP && o.Port == r.Port && o.Address == r.Address:
			errs.Add("address", "err.address_taken", o.ID)
		case r.Kind == ReaderOSDP && o.Port == r.Port && o.Baud != r.Baud:
			errs.Add("baud", "err.baud_differs", o.ID)
		case r.Kind == ReaderWiegand && (r.D0 == o.D0 || r.D0 == o.D1):
			errs.Add("d0", "err.gpio_taken", o.ID)
		case r.Kind == ReaderWiegand && (r.D1 == o.D0 || r.D1 == o.D1):
			errs.Add("d1", "err.gpio_taken", o.ID)
		case r.Kind == ReaderIclock && o.Serial == r.Serial:
			errs.Add("serial", "err.terminal_taken", o.ID)
		case r.Kind == ReaderHikvision && o.Host == r.Host:
			errs.Add("host", "err.terminal_taken", o.ID)
		}
	}
	if n >= MaxReaders {
		errs.Add("id", "err.too_many", MaxReaders)
	}
}

func hostOrHostPort(s string) bool {
	host := s
	if h, p, err := net.SplitHostPort(s); err == nil {
		if p == "" || strings.Trim(p, "0123456789") != "" {
			return false
		}
		host = h
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return len(host) <= 253 && hostRule.MatchString(host)
}

var hostRule = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)

// ReaderPut is a reader to register or change.
type ReaderPut struct {
	Reader Reader
	Login  *Login // of a terminal that asks for one; nil leaves it as it is
	New    bool   // its id must not be taken
	Rev    uint64 // the revision that the form was made from; not for a new one
}

// PutReader registers or changes a reader, whatever is there. Errors: fielderr.Errors, *account.Refused.
func (s *Site) PutReader(ctx context.Context, by account.Who, r Reader) error {
	return s.putReader(ctx, by, ReaderPut{Reader: r}, false)
}

// PutReaderFrom is PutReader of a form: what has changed since its revision is not written over. Errors:
// fielderr.Errors, *account.Refused.
func (s *Site) PutReaderFrom(ctx context.Context, by account.Who, p ReaderPut) error {
	return s.putReader(ctx, by, p, true)
}

func (s *Site) putReader(ctx context.Context, by account.Who, p ReaderPut, fromForm bool) error {
	role, err := s.allow(by, account.ActReadersEdit, account.Subject{})
	if err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	r := p.Reader
	errs := r.check(s.Readers())
	if p.Login != nil {
		var bad fielderr.Errors
		if errors.As(p.Login.check(), &bad) {
			errs = append(errs, bad...)
		}
	}
	s.mu.RLock()
	old, known := s.readers[r.ID]
	s.mu.RUnlock()
	if known && (old.v.Kind != r.Kind) {
		errs.Add("kind", "err.reader_kind")
	}
	switch {
	case fromForm && p.New && known:
		errs.Add("id", "err.taken")
	case fromForm && !p.New && old.rev != p.Rev:
		errs = append(fielderr.Errors{{Field: "rev", Rule: RowChanged}}, errs...)
	}
	if err := errs.Err(); err != nil {
		return err
	}
	if known && old.v == r && p.Login == nil {
		return nil
	}
	ch := changeOf(by, role, "reader", r.ID, old, known, r, readers)
	if p.Login != nil {
		secret, err := s.readerSecret(r.ID)
		if err != nil {
			return err
		}
		secret.Login = *p.Login
		ch.Puts = append(ch.Puts, readerSecrets.Put(r.ID, secret))
	}
	return s.commit(ctx, "reader "+r.ID, ch, func(rev uint64) { s.readers[r.ID] = row[Reader]{r, rev} })
}

// Reader by id.
func (s *Site) Reader(id string) (Reader, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, ok := s.readers[id]
	return r.v, ok
}

// ReaderRev is the revision of a reader's row; 0 when there is none.
func (s *Site) ReaderRev(id string) uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.readers[id].rev
}

func (s *Site) readerSecret(id string) (x readerSecret, err error) {
	err = s.o.Store.View(func(tx ledgerdb.Tx) error {
		x, _, _, err = readerSecrets.Get(tx, id)
		return err
	})
	x.Reader = id
	if err != nil {
		return x, fmt.Errorf("read what reader %s needs to be reached: %w", id, err)
	}
	return x, nil
}

// ReaderLogin is the log-in of a terminal, for its driver alone.
func (s *Site) ReaderLogin(id string) (Login, error) {
	x, err := s.readerSecret(id)
	return x.Login, err
}

// ReaderKey is the secure channel key of a reader, for its line alone; nil when it has none. placed says that the
// reader is known to hold it.
func (s *Site) ReaderKey(id string) (scbk []byte, placed bool, err error) {
	x, err := s.readerSecret(id)
	return x.SCBK, x.Placed, err
}

// The states of a reader's key, as entries name them.
const (
	KeyMade   = "made"    // a new key, for a reader that is being installed
	KeyTyped  = "typed"   // the key that the reader has had from its maker
	KeyPlaced = "placed"  // the reader took it
	KeyEnded  = "expired" // the time for installing passed without a reader that took it
	KeyToken  = "token"   // a new access code of a terminal that calls; the one before ends
)

// NewReaderToken gives a terminal that calls a new access code; the one before ends. It is shown once: only its hash is
// kept. Errors: *account.Refused, ErrNotFound.
func (s *Site) NewReaderToken(ctx context.Context, by account.Who, id string) (token string, err error) {
	role, err := s.allow(by, account.ActReadersEdit, account.Subject{})
	if err != nil {
		return "", err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.RLock()
	old, ok := s.readers[id]
	s.mu.RUnlock()
	if !ok || old.v.Kind != ReaderIclock {
		return "", ErrNotFound
	}
	x, err := s.readerSecret(id)
	if err != nil {
		return "", err
	}
	token = strings.ToLower(rand.Text()) // 130 bits in letters and digits, which can be typed at a terminal
	hash := sha256.Sum256([]byte(token))
	x.Token = hash[:]
	ch := ledgerdb.Change{Puts: []ledgerdb.Put{readers.PutRev(id, old.v, old.rev), readerSecrets.Put(id, x)}, Entries: []ledger.Draft{keyEntry(by, role, id, KeyToken)}}
	return token, s.commit(ctx, "the access code of reader "+id, ch, func(rev uint64) { s.readers[id] = row[Reader]{old.v, rev} })
}

// ReaderToken is the hash of a terminal's access code, for its line alone; nil when it has none.
func (s *Site) ReaderToken(id string) ([]byte, error) {
	x, err := s.readerSecret(id)
	return x.Token, err
}

// SetReaderKey sets a reader to the secure channel with the key that a person typed, or with a new one when typed is
// nil: the reader then has to be installed. Errors: fielderr.Errors, *account.Refused, ErrNotFound.
func (s *Site) SetReaderKey(ctx context.Context, by account.Who, id string, typed []byte) error {
	role, err := s.allow(by, account.ActReadersEdit, account.Subject{})
	if err != nil {
		return err
	}
	state := KeyTyped
	if typed == nil {
		state, typed = KeyMade, make([]byte, scbkLen)
		rand.Read(typed)
	}
	if len(typed) != scbkLen {
		return fielderr.Errors{{Field: "scbk", Rule: "err.scbk"}}
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.RLock()
	old, ok := s.readers[id]
	s.mu.RUnlock()
	if !ok || old.v.Kind != ReaderOSDP {
		return ErrNotFound
	}
	x, err := s.readerSecret(id)
	if err != nil {
		return err
	}
	r := old.v
	x.SCBK, x.Placed, r.Secure = typed, state == KeyTyped, true
	ch := ledgerdb.Change{Puts: []ledgerdb.Put{readers.PutRev(id, r, old.rev), readerSecrets.Put(id, x)}, Entries: []ledger.Draft{keyEntry(by, role, id, state)}}
	if !old.v.Secure {
		ch.Entries = append(ch.Entries, changeOf(by, role, "reader", id, old, true, r, readers).Entries...)
	}
	return s.commit(ctx, "the key of reader "+id, ch, func(rev uint64) { s.readers[id] = row[Reader]{r, rev} })
}

const scbkLen = 16

// NoteReaderKey records that a reader took its key, or that the time for it was ended. Errors: *account.Refused.
func (s *Site) NoteReaderKey(ctx context.Context, by account.Who, id, state string) error {
	role, err := s.allow(by, account.ActReadersEdit, account.Subject{})
	if err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	x, err := s.readerSecret(id)
	if err != nil {
		return err
	}
	x.Placed = x.Placed || state == KeyPlaced
	ch := ledgerdb.Change{Puts: []ledgerdb.Put{readerSecrets.Put(id, x)}, Entries: []ledger.Draft{keyEntry(by, role, id, state)}}
	return s.commit(ctx, "the key of reader "+id, ch, func(uint64) {})
}

func keyEntry(by account.Who, role account.Role, id, state string) ledger.Draft {
	return by.Draft("reader.key", role, id, map[string]any{"state": state})
}

// readerDevice is the device that answers at a place: what it reports of itself, and what was known before.
type readerDevice struct {
	Known string `json:"known"` // accepted by a person, or the first one
	Now   string `json:"now"`
}

// ReaderDevice is the device that is known for a reader and the one that answers now; they differ when another was put
// in its place and nobody has accepted it.
func (s *Site) ReaderDevice(id string) (known, now string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d := s.devices[id].v
	return d.Known, d.Now
}

// The states of a device in a reader's place, as entries name them.
const (
	DeviceFirst    = "first"
	DeviceSwapped  = "swapped"
	DeviceBack     = "back"
	DeviceAccepted = "accepted"
)

// NoteReaderDevice records which device answers in a reader's place; device is a code. What was said already is not
// said again.
func (s *Site) NoteReaderDevice(ctx context.Context, id, device string) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.RLock()
	old := s.devices[id]
	s.mu.RUnlock()
	n := readerDevice{Known: cmp.Or(old.v.Known, device), Now: device}
	if n == old.v || device == "" {
		return nil
	}
	state := DeviceSwapped
	switch {
	case old.v.Known == "":
		state = DeviceFirst
	case device == old.v.Known:
		state = DeviceBack
	}
	return s.putDevice(ctx, account.System, "", id, old, n, state)
}

// AcceptReaderDevice is a person's word that the device in a reader's place belongs there. Errors: *account.Refused.
func (s *Site) AcceptReaderDevice(ctx context.Context, by account.Who, id string) error {
	role, err := s.allow(by, account.ActReadersEdit, account.Subject{})
	if err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.RLock()
	old := s.devices[id]
	s.mu.RUnlock()
	if old.v.Known == old.v.Now {
		return nil
	}
	return s.putDevice(ctx, by, role, id, old, readerDevice{Known: old.v.Now, Now: old.v.Now}, DeviceAccepted)
}

func (s *Site) putDevice(ctx context.Context, by account.Who, role account.Role, id string, old row[readerDevice], n readerDevice, state string) error {
	data := map[string]any{"now": n.Now, "state": state}
	if old.v.Known != "" {
		data["was"] = old.v.Known
	}
	ch := ledgerdb.Change{Puts: []ledgerdb.Put{readerDevices.PutRev(id, n, old.rev)}, Entries: []ledger.Draft{by.Draft("reader.device", role, id, data)}}
	return s.commit(ctx, "the device of reader "+id, ch, func(rev uint64) { s.devices[id] = row[readerDevice]{n, rev} })
}
