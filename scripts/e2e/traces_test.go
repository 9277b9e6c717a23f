package e2e

import (
	"bytes"
	"encoding/binary"
	"encoding/pem"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"campuskeep/firmware/appliance"
	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/scripts/sim/school"
	"campuskeep/shared/footage"
)

// traces: anyone who takes the disk away without the key finds no pupil's name in it, no picture, no key and
// no password; and what the day left is consistent.
func (h *env) traces(t *testing.T) {
	names := h.pupils()
	needles := map[string][]byte{"a password": []byte(school.Password), "a camera's password": []byte(cameraPassword)}
	for n, b := range h.parameterSets(t) {
		needles[n] = b
	}
	for n, b := range h.keys(t) {
		needles[n] = b
	}
	for _, a := range h.filled.Accounts {
		if a.Secret != nil {
			needles["the second factor of "+a.Login] = a.Secret
		}
	}
	for who, token := range h.tokens {
		needles["the session of "+who] = []byte(token)
	}
	files, size := 0, 0
	err := filepath.WalkDir(h.cfg.Appliance.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if own := filepath.Dir(path) == filepath.Join(h.cfg.Appliance.Data, "keys"); own && !strings.Contains(d.Name(), "ring") {
			return nil // the keys that open the rest lie here, for root's eyes
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files, size = files+1, size+len(b)
		if found := names.in(b); found != "" {
			t.Errorf("%s holds the pupil's name %s", path, found)
		}
		for what, n := range needles {
			if bytes.Contains(b, n) {
				t.Errorf("%s holds %s", path, what)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	said := []byte(h.log.tail(1 << 20))
	if found := names.in(said); found != "" || bytes.Contains(said, []byte(school.Password)) {
		t.Errorf("the program's own output holds a name or a password")
	}
	if files < 1000 {
		t.Errorf("only %d files of %d bytes were looked at", files, size)
	}
	t.Logf("%d files, %d MB: nothing of %d names and %d secrets", files, size>>20, len(names), len(needles))
	var out bytes.Buffer
	if found, err := appliance.Check(t.Context(), h.cfg, true, &out); err != nil || found > 0 {
		t.Errorf("check: %d findings, %v\n%s", found, err, out.String())
	}
}

// words are names to look for, all at once.
type words map[string]bool

// pupils are the names of all pupils that nobody of the staff has too: those are on pages and in the log.
func (h *env) pupils() words {
	out := words{}
	for _, c := range h.filled.Cards {
		out[h.box.People.Name(c.Student)] = true
	}
	for _, a := range h.filled.Accounts {
		for n := range out {
			if strings.Contains(a.Name, n) {
				delete(out, n)
			}
		}
	}
	return out
}

// in gives the first name that is in b.
func (w words) in(b []byte) string {
	for i := 0; i+6 <= len(b); i++ {
		if b[i] < 0xE4 || b[i] > 0xE9 { // a Chinese character of a name begins so
			continue
		}
		for _, n := range []int{6, 9, 12} {
			if i+n <= len(b) && w[string(b[i:i+n])] {
				return string(b[i : i+n])
			}
		}
	}
	return ""
}

// parameterSets are the H.264 parameter sets of what the box delivers: of the past, and of the cameras now.
func (h *env) parameterSets(t *testing.T) map[string][]byte {
	t.Helper()
	for name := range h.pupils() {
		if !utf8.ValidString(name) || len(name) < 6 {
			t.Fatalf("the name %q cannot be looked for", name)
		}
	}
	out := map[string][]byte{}
	zheng := h.visitor(h.token(t, "zheng"))
	until(t, "footage of the cameras that are here now", func() bool { return h.recordedNow(t) })
	for what, at := range map[string]time.Time{"the past": h.quiet(0), "now": h.now.In(h.zone)} {
		f := url.Values{"camera": {"c01"}, "day": {at.Format(time.DateOnly)}, "from": {at.Format("15:04")}, "to": {endOfDay(at, 10*time.Minute)}, "purpose": {"核对画面"}}
		r := zheng.ask(t, "POST", "/footage/view", f)
		if r.status != 303 {
			t.Fatalf("opening %s: %d\n%s", what, r.status, r.body)
		}
		media := "/media/" + strings.TrimPrefix(r.header.Get("Location"), "/view/")
		list := string(zheng.ask(t, "GET", media+"/playlist.m3u8", nil).body)
		for line := range strings.Lines(list) {
			uri, ok := strings.CutPrefix(line, `#EXT-X-MAP:URI="`)
			if !ok {
				continue
			}
			uri, _, _ = strings.Cut(uri, `"`)
			if !strings.HasPrefix(uri, "/") {
				uri = media + "/" + uri
			}
			sps, pps := parameters(t, zheng.ask(t, "GET", uri, nil).body)
			out["the SPS of "+what+" "+uri], out["the PPS of "+what+" "+uri] = sps, pps
		}
	}
	if len(out) < 4 {
		t.Fatalf("%d parameter sets found", len(out))
	}
	return out
}

// recordedNow says whether a segment of this run is finished.
func (h *env) recordedNow(t *testing.T) (found bool) {
	t.Helper()
	err := h.box.Vault.Rows("c01", func(s footage.Segment) bool {
		found = found || s.Wall.After(h.now)
		return !found
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// keys are the bytes of keys that open something: those of files, and some of each ring.
func (h *env) keys(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	fsys, err := disk.Real(h.cfg.Appliance.Data)
	if err != nil {
		t.Fatal(err)
	}
	root, err := keyring.OpenRoot(fsys)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"footage", "people"} {
		ring, err := root.Ring(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ring.IDs() {
			if k, ok := ring.Key(id); ok && len(out) < 24 {
				out["the key of "+id] = k[:]
			}
		}
	}
	if len(out) < 10 {
		t.Fatalf("only %d keys in the rings", len(out))
	}
	files, err := filepath.Glob(filepath.Join(h.cfg.Appliance.Data, "keys", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if block, _ := pem.Decode(b); block != nil {
			b = block.Bytes
		}
		if len(b) >= 32 && len(b) < 300 {
			out["the key of "+filepath.Base(f)] = b[len(b)-32:]
		}
	}
	return out
}

// endOfDay is so long after an instant, or midnight when that comes before.
func endOfDay(at time.Time, long time.Duration) string {
	if end := at.Add(long); end.Day() == at.Day() {
		return end.Format("15:04")
	}
	return "24:00"
}

// parameters reads SPS and PPS from an initialisation section (ISO 14496-15, avcC).
func parameters(t *testing.T, init []byte) (sps, pps []byte) {
	t.Helper()
	i := bytes.Index(init, []byte("avcC"))
	if i < 0 || len(init) < i+12 {
		t.Fatalf("no avcC in %d bytes", len(init))
	}
	b := init[i+4+6:]
	n := int(binary.BigEndian.Uint16(b))
	sps, b = b[2:2+n], b[2+n+1:]
	return sps, b[2 : 2+int(binary.BigEndian.Uint16(b))]
}
