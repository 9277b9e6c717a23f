package extraction

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
	rules "campuskeep/shared/usage"
)

// twelve minutes across the hour, from the middle of a group of pictures.
var wanted = footage.Span{From: time.Date(2026, 5, 19, 23, 54, 0, 300e6, time.UTC), To: time.Date(2026, 5, 20, 0, 6, 0, 0, time.UTC)}

// take extracts a span and gives the sealed bytes with the secret.
func (h *env) take(span footage.Span) (Extraction, []byte, [packet.SecretSize]byte) {
	h.t.Helper()
	ctx := h.t.Context()
	a := h.approved(span)
	e, err := h.x.Request(ctx, teacher, a.ID, "2026-05-21", "两名民警下午来取")
	must(h.t, err)
	_, err = h.x.Start(ctx, officer, head, e.ID, "")
	must(h.t, err)
	if e = h.wait(e.ID); e.State != Sealed {
		h.t.Fatalf("the extraction is %s, %s", e.State, e.Reason)
	}
	secret, err := h.x.Secret(ctx, officer, e.ID)
	must(h.t, err)
	f, e, c, err := h.x.Download(ctx, officer, e.ID)
	must(h.t, err)
	defer f.Close()
	b, err := io.ReadAll(f)
	must(h.t, err)
	if c.No != 1 || int64(len(b)) != e.Bytes {
		h.t.Fatalf("copy %d of %d bytes, %d were sealed", c.No, len(b), e.Bytes)
	}
	return e, b, secret
}

func opened(t testing.TB, sealed []byte, secret [packet.SecretSize]byte) []byte {
	t.Helper()
	id, err := age.ParseX25519Identity(packet.AgeIdentity(secret))
	must(t, err)
	r, err := age.Decrypt(bytes.NewReader(sealed), id)
	must(t, err)
	plain, err := io.ReadAll(r)
	must(t, err)
	return plain
}

// Covers F14: a package holds exactly the recorded fragments of the approved span, each proven against the entry that
// bound its hour, and its log says who took it out before anything left.
func TestAPackageIsWhatWasRecorded(t *testing.T) {
	h := newEnv(t, nil)
	e, sealed, secret := h.take(wanted)
	plain := opened(t, sealed, secret)
	key, err := ledger.ParseVerifier(h.store.VerifierKey())
	must(t, err)
	v, err := packet.VerifyPackage(bytes.NewReader(plain), int64(len(plain)), nil, key)
	must(t, err)
	m := v.Manifest
	if !v.Trusted || v.Bound != v.Segments || v.Segments < 12 || v.Late != 0 || m.Number != "TQ-2026-001" || m.Operator.ID != officer.ID || m.Supervisor.ID != head.ID {
		t.Errorf("%+v", v)
	}
	if len(m.Spans) != 1 || !m.Spans[0].Span.From.Equal(wanted.From) || len(m.Spans[0].Gaps) != 0 || len(m.Videos) == 0 {
		t.Errorf("spans %+v, videos %+v", m.Spans, m.Videos)
	}
	if lead := m.Videos[0].Lead; lead < 0 || lead > longestLead {
		t.Errorf("the video begins %s before the span", lead)
	}
	if other, err := ledger.ParseVerifier(strings.Replace(h.store.VerifierKey(), "campuskeep", "campuskeep", 1)); err != nil || other.Key != key.Key {
		t.Error(err)
	}
	want := []ledger.Kind{"extraction.requested", "extraction.began", "extraction.packed", "extraction.sealed", "extraction.key", "extraction.copied"}
	if got := h.kinds("extraction."); !slices.Equal(got, want) {
		t.Errorf("entries %v, want %v", got, want)
	}
	if a, err := h.reg.Get(e.Application); err != nil || a.State != rules.Delivered {
		t.Errorf("the application is %s, %v", a.State, err)
	}
	if _, err := h.x.Secret(t.Context(), officer, e.ID); err != ErrPrinted {
		t.Errorf("the secret is given a second time: %v", err)
	}
	for _, f := range []string{"ftyp", "moof", "suep", "宋知行"} { // nothing of it is on the disk in the clear
		if bytes.Contains(sealed, []byte(f)) {
			t.Errorf("the sealed file shows %q", f)
		}
	}
	playable(t, plain, m)
}

// playable decodes the videos with ffmpeg where it is installed: each has the pictures that the manifest counts.
func playable(t *testing.T, plain []byte, m packet.Manifest) {
	t.Helper()
	probe, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Log("ffprobe is not installed: the videos were not decoded")
		return
	}
	a, err := packet.OpenArchive(bytes.NewReader(plain), int64(len(plain)))
	must(t, err)
	for _, v := range m.Videos {
		i, _ := a.Find(v.Path)
		name := filepath.Join(t.TempDir(), "v.mp4")
		must(t, a.Read(i, func(r io.Reader) error {
			b, err := io.ReadAll(r)
			if err == nil {
				err = os.WriteFile(name, b, 0o600)
			}
			return err
		}))
		out, err := exec.Command(probe, "-v", "error", "-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames,start_time", "-of", "csv=p=0", name).CombinedOutput()
		must(t, err)
		t.Logf("%s: %s, %d pictures, lead %s", v.Path, strings.TrimSpace(string(out)), v.Pictures, v.Lead)
	}
}
