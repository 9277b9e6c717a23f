package site_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"campuskeep/firmware/site"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
)

// Each kind of reader is checked by what it needs, and two readers never share a line's address, a wire or a terminal.
func TestReadersOfEachKind(t *testing.T) {
	h := newEnv(t)
	osdp := site.Reader{ID: "r01", Name: "东大门 1 号", Direction: attendance.Auto, Port: "/dev/ttyUSB0"}
	wiegand := site.Reader{ID: "r02", Name: "西门", Direction: attendance.In, Kind: site.ReaderWiegand, D0: "GPIO17", D1: "GPIO18", Format: 26}
	iclock := site.Reader{ID: "r03", Name: "北门", Direction: attendance.In, Kind: site.ReaderIclock, Serial: "CKUF201260123", Host: "10.20.6.21"}
	hik := site.Reader{ID: "r04", Name: "南门", Direction: attendance.Out, Kind: site.ReaderHikvision, Host: "10.20.6.22:80"}
	for _, r := range []site.Reader{osdp, wiegand, iclock, hik} {
		h.must(h.PutReader(t.Context(), admin, r))
	}
	type spoil struct {
		of   site.Reader
		how  func(*site.Reader)
		want string
	}
	for _, c := range []spoil{
		{osdp, func(r *site.Reader) { r.Baud = 1200 }, "baud:err.choice"},
		{osdp, func(r *site.Reader) { r.ID, r.Address, r.Baud = "r09", 1, 115200 }, "baud:err.baud_differs"},
		{wiegand, func(r *site.Reader) { r.D1 = r.D0 }, "d1:err.gpio"},
		{wiegand, func(r *site.Reader) { r.Format = 27 }, "format:err.choice"},
		{wiegand, func(r *site.Reader) { r.ID, r.D0 = "r09", "GPIO19" }, "d1:err.gpio_taken"},
		{iclock, func(r *site.Reader) { r.Serial = "../etc" }, "serial:err.reader_serial"},
		{iclock, func(r *site.Reader) { r.Host = "terminal" }, "host:err.reader_address"},
		{iclock, func(r *site.Reader) { r.ID = "r09" }, "serial:err.terminal_taken"},
		{hik, func(r *site.Reader) { r.Host = "10.20.6.22/ISAPI" }, "host:err.reader_host"},
		{hik, func(r *site.Reader) { r.ID = "r09" }, "host:err.terminal_taken"},
		{hik, func(r *site.Reader) { r.Kind = "usb" }, "kind:err.choice"},
		{hik, func(r *site.Reader) { r.Kind, r.Serial, r.Host = site.ReaderIclock, "AB12", "10.0.0.9" }, "kind:err.reader_kind"},
	} {
		bad := c.of
		c.how(&bad)
		if err := h.PutReader(t.Context(), admin, bad); fieldOf(err) != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	retired := iclock
	retired.Retired = true
	h.must(h.PutReader(t.Context(), admin, retired))
	again := iclock
	again.ID = "r05"
	if err := h.PutReader(t.Context(), admin, again); err != nil {
		t.Errorf("the terminal of a reader out of service: %v", err)
	}
}

// What a reader needs to be reached is sealed: neither the log-in nor the key lies in the database in clear, and both
// are there after a restart. Covers M5.
func TestReaderSecretsAreSealed(t *testing.T) {
	h := newEnv(t)
	h.must(h.PutReader(t.Context(), admin, site.Reader{ID: "r01", Name: "东大门 1 号", Direction: attendance.Auto, Port: "/dev/ttyUSB0"}))
	h.must(h.PutReaderFrom(t.Context(), admin, site.ReaderPut{New: true, Login: &site.Login{User: "admin", Password: "terminal-secret"},
		Reader: site.Reader{ID: "r02", Name: "南门", Direction: attendance.Out, Kind: site.ReaderHikvision, Host: "10.20.6.22"}}))
	key := []byte("0123456789abcdef")
	h.must(h.SetReaderKey(t.Context(), admin, "r01", key))
	if e := h.last(); e.Kind != "config.change" || e.Subject != "reader:r01" {
		t.Errorf("entry %+v", e)
	}
	if r, _ := h.Reader("r01"); !r.Secure {
		t.Error("the reader is not set to the channel")
	}
	if err := h.SetReaderKey(t.Context(), admin, "r01", key[:8]); fieldOf(err) != "scbk:err.scbk" {
		t.Errorf("half a key: %v", err)
	}
	if err := h.SetReaderKey(t.Context(), admin, "r02", nil); err != site.ErrNotFound {
		t.Errorf("a key for a terminal: %v", err)
	}
	h.stop()
	h.open()
	got, placed, err := h.ReaderKey("r01")
	if h.must(err); !bytes.Equal(got, key) || !placed {
		t.Errorf("after a restart: % x, placed %v", got, placed)
	}
	h.must(h.SetReaderKey(t.Context(), admin, "r01", nil))
	made, placed, err := h.ReaderKey("r01")
	if h.must(err); len(made) != 16 || bytes.Equal(made, key) || placed {
		t.Errorf("a new key: % x, placed %v", made, placed)
	}
	h.must(h.NoteReaderKey(t.Context(), account.System, "r01", site.KeyPlaced))
	if _, placed, _ = h.ReaderKey("r01"); !placed {
		t.Error("the reader's key is not known to be placed")
	}
	login, err := h.ReaderLogin("r02")
	if h.must(err); login.Password != "terminal-secret" {
		t.Errorf("log-in %+v", login)
	}
	h.must(h.PutReader(t.Context(), admin, site.Reader{ID: "r03", Name: "北门", Direction: attendance.In, Kind: site.ReaderIclock, Serial: "CKUF201260123", Host: "10.20.6.21"}))
	token, err := h.NewReaderToken(t.Context(), admin, "r03")
	if h.must(err); len(token) != 26 {
		t.Errorf("access code %q", token)
	}
	if e := h.last(); e.Kind != "reader.key" || e.Subject != "r03" {
		t.Errorf("entry %+v", e)
	}
	if _, err := h.NewReaderToken(t.Context(), admin, "r02"); err != site.ErrNotFound {
		t.Errorf("an access code for a terminal that does not call: %v", err)
	}
	hash, err := h.ReaderToken("r03")
	if want := sha256.Sum256([]byte(token)); err != nil || !bytes.Equal(hash, want[:]) {
		t.Errorf("hash % x, %v", hash, err)
	}
	h.noneInClear(t, []byte("terminal-secret"), key, made, []byte(token), hash)
}

// noneInClear looks for secrets in every file, as they are and as JSON would write them.
func (h *env) noneInClear(t *testing.T, secrets ...[]byte) {
	t.Helper()
	err := filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, s := range secrets {
			if bytes.Contains(b, s) || bytes.Contains(b, []byte(base64.StdEncoding.EncodeToString(s))) || bytes.Contains(b, []byte(hex.EncodeToString(s))) {
				t.Errorf("a secret lies in clear in %s", path)
			}
		}
		return err
	})
	h.must(err)
}

// Another device in a reader's place is entered once, and again when it is accepted or the old one is back.
func TestExchangedReaderIsNoticed(t *testing.T) {
	h := newEnv(t)
	h.must(h.PutReader(t.Context(), admin, site.Reader{ID: "r01", Name: "东大门 1 号", Direction: attendance.Auto, Port: "/dev/ttyUSB0"}))
	step := func(device, state string) {
		t.Helper()
		size := h.store.Size()
		h.must(h.NoteReaderDevice(t.Context(), "r01", device))
		h.must(h.NoteReaderDevice(t.Context(), "r01", device))
		if state == "" {
			if h.store.Size() != size {
				t.Errorf("%s is entered again", device)
			}
			return
		}
		if e := h.last(); h.store.Size() != size+1 || e.Kind != "reader.device" || !bytes.Contains(e.Data, []byte(`"state":"`+state+`"`)) {
			t.Errorf("%s: %d entries, %s %s", device, h.store.Size()-size, e.Kind, e.Data)
		}
	}
	step("ca3b0c-1.1-12345", site.DeviceFirst)
	step("ca3b0c-1.1-12346", site.DeviceSwapped)
	step("ca3b0c-1.1-12345", site.DeviceBack)
	step("ca3b0c-1.1-12346", site.DeviceSwapped)
	h.must(h.AcceptReaderDevice(t.Context(), admin, "r01"))
	if known, now := h.ReaderDevice("r01"); known != now || known != "ca3b0c-1.1-12346" {
		t.Errorf("known %s, now %s", known, now)
	}
	h.stop()
	h.open()
	step("ca3b0c-1.1-12346", "")
}
