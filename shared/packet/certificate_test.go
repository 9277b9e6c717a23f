package packet

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

var (
	boxKey    = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	centreKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	boxName   = "campuskeep/ck-0417"
	boxVKey   = ledger.VerifierKey(boxName, boxKey.Public().(ed25519.PublicKey))
	centre    = ledger.WitnessKey("campuskeep-centre/yunting", centreKey.Public().(ed25519.PublicKey))
	eight     = time.FixedZone("UTC+08:00", 8*3600)
	dayBegin  = time.Date(2026, 3, 2, 0, 0, 0, 0, eight).UTC()
)

// book is a log that tests write.
type book struct {
	t      testing.TB
	leaves [][]byte
	hashes []tlog.Hash
	worth  string // assurance of deletions; best_effort when empty
}

func (b *book) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = b.hashes[x]
	}
	return out, nil
}

func (b *book) add(at time.Time, kind ledger.Kind, subject string, data map[string]any) uint64 {
	b.t.Helper()
	var e ledger.Entry
	p, err := ledger.Prepare(&e, ledger.Draft{Actor: ledger.System, Via: ledger.ViaSystem, Kind: kind, Subject: subject, Data: data}, rand.Reader)
	if err != nil {
		b.t.Fatal(err)
	}
	seq := uint64(len(b.leaves))
	leaf, err := p.Encode(ledger.Place{Seq: seq, At: at, Clock: ledger.ClockRef{State: clock.Trusted, Boot: "b1", Mono: at.Sub(dayBegin)}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.leaves = append(b.leaves, leaf)
	more, err := tlog.StoredHashes(int64(seq), leaf, b)
	if err != nil {
		b.t.Fatal(err)
	}
	b.hashes = append(b.hashes, more...)
	return seq
}

func (b *book) other(n int) {
	for range n {
		b.add(dayBegin, "login.ok", "p001", nil)
	}
}

var declared = Declared{Version: CertificateVersion, School: "青榆实验学校", Appliance: boxName, Camera: "c01", Name: "东大门外", Place: "东大门", Day: "2026-03-02", East: 480}

// day writes hours of a camera-day and its deletion 30 days later.
func (b *book) day(hours int) (seqs []uint64) {
	note := func(seq uint64) { seqs = append(seqs, seq) }
	note(b.add(dayBegin.Add(-time.Hour), "camera.registered", "c01", map[string]any{"custody": "vault", "area": "gate", "days": 30}))
	hour := func(h int, kind ledger.Kind, at time.Time) {
		from := dayBegin.Add(time.Duration(h) * time.Hour)
		data := map[string]any{"hour": from, "count": 60, "root": bytes.Repeat([]byte{byte(h + 1)}, 32), "first": from, "last": from.Add(time.Hour), "bytes": 720000, "days": []string{"2026-03-02"}}
		if kind == "footage.deleted" {
			data["assurance"] = cmp.Or(b.worth, "best_effort")
		}
		note(b.add(at, kind, "c01", data))
		b.other(3)
	}
	for h := range hours {
		hour(h, "footage.recorded", dayBegin.Add(time.Duration(h+1)*time.Hour+time.Minute))
	}
	note(b.add(dayBegin.Add(5*time.Hour), "footage.gap", "c01", map[string]any{"from": dayBegin.Add(2 * time.Hour), "to": dayBegin.Add(130 * time.Minute), "cause": "offline"}))
	for h := range hours {
		hour(h, "footage.deleted", dayBegin.Add(30*24*time.Hour+time.Duration(h+1)*time.Hour+20*time.Second))
	}
	end := dayBegin.Add(30*24*time.Hour + time.Duration(hours)*time.Hour + 21*time.Second)
	note(b.add(end, "key.erase.intent", "c01", map[string]any{"ring": "footage", "keys": []string{"c01:2026-03-02"}}))
	note(b.add(end.Add(time.Second), "key.erased", "c01", map[string]any{"ring": "footage", "keys": []string{"c01:2026-03-02"}}))
	return seqs
}

// certify makes the certificate over the entries, with the issue last.
func (b *book) certify(d Declared, seqs []uint64, witnessed bool) Certificate {
	b.t.Helper()
	must := func(err error) {
		b.t.Helper()
		if err != nil {
			b.t.Fatal(err)
		}
	}
	var entries []ledger.Entry
	for _, s := range seqs {
		e, err := ledger.ParseEntry(b.leaves[s])
		must(err)
		entries = append(entries, e)
	}
	statement, day, err := d.Statement(entries)
	must(err)
	seqs = append(seqs, b.add(dayBegin.Add(40*24*time.Hour), "certificate.issued", d.Camera, IssueOf(statement, day)))
	b.other(5)
	size := int64(len(b.leaves))
	root, err := tlog.TreeHash(size, b)
	must(err)
	s, err := ledger.Signer(boxName, boxKey)
	must(err)
	c := Certificate{Version: d.Version, Statement: statement, Keys: []string{boxVKey}}
	c.Checkpoint, err = ledger.Checkpoint{Origin: ledger.Origin(boxName, 1), Size: uint64(size), Root: root}.Sign(s)
	must(err)
	if witnessed {
		v, err := ledger.ParseVerifier(boxVKey)
		must(err)
		w, err := ledger.WitnessSigner("campuskeep-centre/yunting", centreKey, dayBegin.Add(41*24*time.Hour))
		must(err)
		c.Checkpoint, err = ledger.Cosign(c.Checkpoint, v, w)
		must(err)
		c.Keys = append(c.Keys, centre)
	}
	var paths [][]tlog.Hash
	for _, q := range seqs {
		c.Leaves = append(c.Leaves, b.leaves[q])
		p, err := tlog.ProveRecord(size, int64(q), b)
		must(err)
		paths = append(paths, p)
	}
	c.Nodes, err = ProveMany(uint64(size), seqs, paths)
	must(err)
	return c
}

func sampleCertificate(t testing.TB, hours int) Certificate {
	return certificateOf(t, CertificateVersion, hours)
}

func certificateOf(t testing.TB, version, hours int) Certificate {
	b := &book{t: t}
	b.other(100)
	d := declared
	d.Version = version
	return b.certify(d, b.day(hours), true)
}

// The formats as they are written, for every later version to read: never changed within a version.
func TestGoldenCertificate(t *testing.T) {
	for version := 1; version <= CertificateVersion; version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) { goldenCertificate(t, version) })
	}
}

func goldenCertificate(t *testing.T, version int) {
	c := certificateOf(t, version, 24)
	file := filepath.Join("testdata", fmt.Sprintf("certificate-%d.txt", version))
	if *update {
		if err := os.WriteFile(file, c.Format(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, c.Format()) {
		t.Error("the format has changed: a certificate of today is not that of the golden file")
	}
	p, err := ParseCertificate(want)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ledger.ParseVerifier(centre)
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.Verify(key)
	if err != nil || !v.Trusted || v.Day.Outcome != OutcomeErased || v.Day.Recorded != 1440 || v.Day.Deleted != 1440 || len(v.Day.Gaps) != 1 || v.Day.Late != 0 {
		t.Errorf("%v, %+v", err, v)
	}
}

// No byte of a certificate can change unnoticed, with or without a trusted key, whatever is done to it.
func TestEveryChangedByteOfACertificateIsDetected(t *testing.T) {
	text := sampleCertificate(t, 2).Format()
	rnd := mrand.New(mrand.NewPCG(1, 1))
	for i := range text {
		for _, mask := range []byte{1, byte(1 + rnd.IntN(255))} {
			changed := bytes.Clone(text)
			changed[i] ^= mask
			if c, err := ParseCertificate(changed); err == nil {
				if _, err := c.Verify(); err == nil {
					t.Fatalf("byte %d (%q) changed by %#x: accepted", i, text[max(0, i-20):min(len(text), i+20)], mask)
				}
			}
		}
	}
}

// Nor a line left out, doubled or moved.
func TestEveryChangedLineOfACertificateIsDetected(t *testing.T) {
	text := sampleCertificate(t, 3).Format()
	lines := bytes.SplitAfter(text, []byte{'\n'})
	accepted := func(parts [][]byte) bool {
		c, err := ParseCertificate(bytes.Join(parts, nil))
		if err != nil {
			return false
		}
		_, err = c.Verify()
		return err == nil
	}
	if !accepted(lines) {
		t.Fatal("the certificate itself is not accepted")
	}
	rapid.Check(t, func(t *rapid.T) {
		changed := append([][]byte(nil), lines...)
		i := rapid.IntRange(0, len(lines)-1).Draw(t, "line")
		switch rapid.SampledFrom([]string{"drop", "double", "swap", "cut"}).Draw(t, "what") {
		case "drop":
			if len(changed[i]) == 0 {
				return
			}
			changed = append(changed[:i:i], changed[i+1:]...)
		case "double":
			if len(changed[i]) == 0 {
				return
			}
			changed = append(changed[:i+1:i+1], changed[i:]...)
		case "swap":
			j := rapid.IntRange(0, len(lines)-1).Draw(t, "with")
			if bytes.Equal(changed[i], changed[j]) {
				return
			}
			changed[i], changed[j] = changed[j], changed[i]
		case "cut":
			if i == len(lines)-1 {
				return
			}
			changed = changed[:i]
		}
		if accepted(changed) && !bytes.Equal(bytes.Join(changed, nil), text) { // behind the last line stands an empty one
			t.Fatal("accepted")
		}
	})
}

// A box that issues a statement that its own entries contradict is found out: the words follow from the entries.
func TestAStatementThatLiesIsRefused(t *testing.T) {
	b := &book{t: t}
	seqs := b.day(3)
	var entries []ledger.Entry
	for _, s := range seqs {
		e, err := ledger.ParseEntry(b.leaves[s])
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	text, day, err := declared.Statement(entries)
	if err != nil {
		t.Fatal(err)
	}
	lie := bytes.Replace(text, []byte("删除 deleted 180"), []byte("删除 deleted 181"), 1)
	if bytes.Equal(lie, text) {
		t.Fatal("nothing was changed")
	}
	c := b.certify(declared, seqs, false)
	other := &book{t: t}
	other.day(3)
	seqs = append(seqs, other.add(dayBegin.Add(40*24*time.Hour), "certificate.issued", "c01", IssueOf(lie, day)))
	size := int64(len(other.leaves))
	root, err := tlog.TreeHash(size, other)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ledger.Signer(boxName, boxKey)
	if err != nil {
		t.Fatal(err)
	}
	c.Statement, c.Leaves = lie, nil
	c.Checkpoint, err = ledger.Checkpoint{Origin: ledger.Origin(boxName, 1), Size: uint64(size), Root: root}.Sign(s)
	if err != nil {
		t.Fatal(err)
	}
	var paths [][]tlog.Hash
	for _, q := range seqs {
		c.Leaves = append(c.Leaves, other.leaves[q])
		p, err := tlog.ProveRecord(size, int64(q), other)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	if c.Nodes, err = ProveMany(uint64(size), seqs, paths); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Verify(); !errors.Is(err, ErrStatement) {
		t.Errorf("a lie: %v", err)
	}
}

// A certificate of one box, camera or day is not one of another.
func TestACertificateIsOfItsCameraAndDay(t *testing.T) {
	for name, change := range map[string]func(*Declared){
		"camera": func(d *Declared) { d.Camera = "c02" }, "day": func(d *Declared) { d.Day = "2026-03-03" }, "box": func(d *Declared) { d.Appliance = "campuskeep/ck-0001" },
	} {
		b := &book{t: t}
		seqs := b.day(2)
		d := declared
		change(&d)
		c := b.certify(d, seqs, false)
		v, err := c.Verify()
		if name == "box" && err == nil {
			t.Error("a certificate in another box's name was accepted")
		}
		if name != "box" && (err != nil || v.Day.Deleted != 0 || v.Day.Outcome != OutcomePartial) {
			t.Errorf("%s: %v, says %d deleted, %s", name, err, v.Day.Deleted, v.Day.Outcome)
		}
	}
}

// Names may hold anything; they never write lines of their own into the statement.
func TestNamesStayOnTheirLine(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := declared
		d.Name, d.Place = rapid.String().Draw(rt, "name"), rapid.String().Draw(rt, "place")
		text := []byte(d.lines(titleDeletion) + "\n结论 Finding\n")
		if !strings.Contains(string(text), "\ufffd") { // what is not UTF-8 is written as such
			got, err := readDeclared(CertificateVersion, text)
			if err != nil || got.Name != oneLine(d.Name) || got.Place != oneLine(d.Place) || got.East != 480 {
				rt.Fatalf("%q: %v, %+v", text, err, got)
			}
		}
	})
}

// One proof for many entries: it accepts what is there and nothing else, and is a third of the single paths.
func TestProofOfMany(t *testing.T) {
	b := &book{t: t}
	b.other(700)
	rapid.Check(t, func(rt *rapid.T) {
		size := uint64(rapid.IntRange(1, 700).Draw(rt, "size"))
		pick := rapid.SliceOfNDistinct(rapid.Uint64Range(0, size-1), 1, min(int(size), 20), rapid.ID).Draw(rt, "entries")
		seqs := append([]uint64(nil), pick...)
		for i := range seqs {
			for j := i; j > 0 && seqs[j-1] > seqs[j]; j-- {
				seqs[j-1], seqs[j] = seqs[j], seqs[j-1]
			}
		}
		root, err := tlog.TreeHash(int64(size), b)
		if err != nil {
			rt.Fatal(err)
		}
		var paths [][]tlog.Hash
		var leaves []tlog.Hash
		for _, s := range seqs {
			p, err := tlog.ProveRecord(int64(size), int64(s), b)
			if err != nil {
				rt.Fatal(err)
			}
			paths, leaves = append(paths, p), append(leaves, tlog.RecordHash(b.leaves[s]))
		}
		nodes, err := ProveMany(size, seqs, paths)
		if err != nil {
			rt.Fatal(err)
		}
		if err := CheckMany(size, root, seqs, leaves, nodes); err != nil {
			rt.Fatal(err)
		}
		i := rapid.IntRange(0, len(seqs)-1).Draw(rt, "broken")
		leaves[i][3] ^= 1
		if CheckMany(size, root, seqs, leaves, nodes) == nil {
			rt.Fatal("a changed entry was accepted")
		}
		leaves[i][3] ^= 1
		if CheckMany(size, root, seqs, leaves, append(nodes, nodes...)) == nil && len(nodes) > 0 {
			rt.Fatal("hashes too many were accepted")
		}
		if len(nodes) > 0 && CheckMany(size, root, seqs, leaves, nodes[:len(nodes)-1]) == nil {
			rt.Fatal("a hash too few was accepted")
		}
	})
}

func FuzzParseCertificate(f *testing.F) {
	f.Add(sampleCertificate(f, 1).Format())
	f.Add([]byte(certificateTitle + "\nstatement 0\nentries 0\nnodes 0\nkeys 0\ncheckpoint\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseCertificate(text)
		if err != nil {
			return
		}
		if !bytes.Equal(c.Format(), text) {
			t.Fatal("is written back in another way")
		}
		if _, err := c.Verify(); err == nil && !bytes.Contains(text, []byte("certificate.issued")) {
			t.Fatal("a certificate without an issue was accepted")
		}
	})
}

func TestTimesOfADay(t *testing.T) {
	policies := []footage.PolicyAt{{At: dayBegin, Days: 30}, {At: dayBegin.Add(50 * 24 * time.Hour), Days: 90}}
	last := dayBegin.Add(10 * 24 * time.Hour)
	if got := footage.DueAt(last, policies); !got.Equal(last.Add(30 * 24 * time.Hour)) {
		t.Errorf("due %v", got)
	}
	if got := footage.DueAt(dayBegin.Add(25*24*time.Hour), policies); !got.Equal(dayBegin.Add(115 * 24 * time.Hour)) {
		t.Errorf("after the policy was raised: due %v", got)
	}
	lowered := []footage.PolicyAt{{At: dayBegin, Days: 90}, {At: dayBegin.Add(60 * 24 * time.Hour), Days: 30}}
	if got := footage.DueAt(dayBegin, lowered); !got.Equal(dayBegin.Add(60 * 24 * time.Hour)) {
		t.Errorf("after the policy was lowered: due %v", got)
	}
}

// What the entries of a day say about the end of its key.
func TestErasedNeedsATurnOfTheRoot(t *testing.T) {
	for name, c := range map[string]struct {
		deletion  string
		before    string // assurance of a turn of the root before the key was destroyed; none when empty
		after     string // and after
		assurance string
		says      string
	}{
		"turned after":            {"pending", "", "erased", AssuranceErased, "当日密钥已在安全芯片中销毁。"},
		"an entry of before":      {"erased", "", "erased", AssuranceErased, "root key turned"},
		"not turned":              {"pending", "", "", AssurancePending, "has not been turned since"},
		"not turned, said erased": {"erased", "", "", AssurancePending, "has not been turned since"},
		"a turn that failed":      {"pending", "", "erased failed", AssurancePending, "has not been turned since"},
		"turned before only":      {"pending", "erased", "", AssurancePending, "has not been turned since"},
		"turned, and into a file": {"pending", "", "best_effort", AssurancePending, "has not been turned since"},
		"a root in a file":        {"best_effort", "", "erased", AssuranceBestEffort, "traces may remain"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &book{t: t}
			b.other(3)
			root := func(assurance string, at time.Time) (seqs []uint64) {
				if assurance == "" {
					return nil
				}
				assurance, failed := strings.CutSuffix(assurance, " failed")
				data := map[string]any{"root": bytes.Repeat([]byte{byte(len(b.leaves))}, 32), "place": "tpm", "assurance": assurance}
				seqs = append(seqs, b.add(at, "key.root.intent", "", data))
				if failed {
					data["root"] = make([]byte, 32) // it is the root of before
				}
				return append(seqs, b.add(at.Add(time.Second), "key.root", "", data))
			}
			seqs := root(c.before, dayBegin.Add(-time.Minute))
			b.worth = c.deletion
			seqs = append(seqs, b.day(2)...)
			seqs = append(seqs, root(c.after, dayBegin.Add(32*24*time.Hour))...)
			v, err := b.certify(declared, seqs, false).Verify()
			if err != nil || v.Day.Assurance != c.assurance || v.Day.Outcome != OutcomeErased {
				t.Errorf("%v, %s, %s", err, v.Day.Outcome, v.Day.Assurance)
			}
			if text := string(b.certify(declared, seqs, false).Statement); !strings.Contains(text, c.says) {
				t.Errorf("does not say %q:\n%s", c.says, text)
			}
		})
	}
}

// Whatever gaps, deletions and outages the entries of a day are about: what is missing is no longer than the day and
// the sum of its gaps, no gap learns that no entry covers, and a day with more deleted than recorded is never finished.
func TestACertificateNeverSaysMoreThanItsEntries(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := &book{t: t}
		hours := rapid.IntRange(1, 24).Draw(rt, "hours")
		seqs := b.day(hours)
		var noted []footage.Gap
		noted = append(noted, footage.Gap{Span: footage.Span{From: dayBegin.Add(2 * time.Hour), To: dayBegin.Add(130 * time.Minute)}, Cause: footage.CauseCameraOff})
		for range rapid.IntRange(0, 8).Draw(rt, "gaps") {
			from := dayBegin.Add(time.Duration(rapid.IntRange(-600, 1500).Draw(rt, "from")) * time.Minute)
			g := footage.Gap{Span: footage.Span{From: from, To: from.Add(time.Duration(rapid.IntRange(-10, 2000).Draw(rt, "lasts")) * time.Minute)},
				Cause: rapid.SampledFrom([]footage.Cause{footage.CausePowerOff, footage.CauseRestart, footage.CauseCameraOff}).Draw(rt, "cause")}
			noted = append(noted, g)
			seqs = append(seqs, b.add(dayBegin.Add(60*24*time.Hour), "footage.gap", "c01", map[string]any{"from": g.Span.From, "to": g.Span.To, "cause": string(g.Cause)}))
		}
		unbound := rapid.IntRange(0, hours).Draw(rt, "hours without a binding")
		kept := seqs[:0:0]
		for i, s := range seqs { // the first is the register's, the next are the hours
			if i == 0 || i > unbound {
				kept = append(kept, s)
			}
		}
		var entries []ledger.Entry
		for _, s := range kept {
			e, err := ledger.ParseEntry(b.leaves[s])
			if err != nil {
				rt.Fatal(err)
			}
			entries = append(entries, e)
		}
		d, err := declared.ReadDay(entries)
		if err != nil {
			rt.Fatal(err)
		}
		var sum time.Duration
		for _, g := range d.Gaps {
			sum += g.Span.Duration()
			left := []footage.Span{g.Span}
			for _, n := range noted {
				if n.Cause == g.Cause {
					left = footage.Without(left, n.Span)
				}
			}
			if len(left) > 0 {
				rt.Fatalf("gap %v, %s, that no entry tells of", g.Span, g.Cause)
			}
		}
		if sum != d.Missing || d.Missing > d.Nominal.Duration() {
			rt.Fatalf("gaps of %v, missing %v", sum, d.Missing)
		}
		if finished := d.Outcome == OutcomeErased; finished != (unbound == 0) {
			rt.Fatalf("%d hours are not bound: %s", unbound, d.Outcome)
		}
		if d.Assurance == AssuranceErased {
			rt.Fatal("erased without a turn of the root")
		}
	})
}
