package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"campuskeep/shared/clock"
)

var (
	logKey    = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	centreKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	instant   = time.Date(2026, 5, 20, 1, 42, 3, 120e6, time.UTC)
	place     = Place{Seq: 7, At: instant, Clock: ClockRef{State: clock.Trusted, Boot: "b1", Mono: 99}}
)

func viewing() Draft {
	return Draft{
		Actor: Actor{ID: "p001", Role: "security_officer"}, From: &From{Address: "10.20.3.18", Device: `Mozilla/5.0 "x" <y>` + "\n", Terminal: "t1"},
		Via: ViaWeb, Kind: "footage.access.open", Subject: "camera:c01",
		Data: map[string]any{
			"ground": "duty", "camera": "c01", "viewing": "v1", "mode": "playback",
			"from": instant.In(time.FixedZone("CST", 8*3600)), "to": instant.Add(time.Hour),
		},
		Sealed: []Part{{Name: "purpose", Owner: "person:p001", Plain: []byte("lost bicycle")}},
	}
}

func encode(t testing.TB, d Draft, at Place) (Entry, Prepared, []byte) {
	t.Helper()
	var e Entry
	p, err := Prepare(&e, d, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := p.Encode(at)
	if err != nil {
		t.Fatal(err)
	}
	return e, p, leaf
}

// What is hashed by hand-written code is exactly what encoding/json says, and reads back as the same entry.
func TestStoredFormIsThatOfEncodingJSON(t *testing.T) {
	for name, d := range map[string]Draft{
		"everything": viewing(),
		"nothing":    {Actor: System, Via: ViaSystem, Kind: "system.stop"},
		"lists": {Actor: System, Via: ViaSystem, Kind: "application.approved", Data: map[string]any{
			"cameras": []string{"c01", "c02"}, "spans": []map[string]time.Time{{"from": instant, "to": instant}}, "until": instant, "part": true,
		}},
		"struct": {Actor: System, Via: ViaSystem, Kind: "footage.deleted", Data: struct {
			Hour      time.Time `json:"hour"`
			Count     int64     `json:"count"`
			Root      []byte    `json:"root"`
			First     time.Time `json:"first"`
			Last      time.Time `json:"last"`
			Assurance string    `json:"assurance"`
		}{instant, 3, make([]byte, 32), instant, instant, "best_effort"}},
	} {
		at := place
		at.Rows = []RowRef{{Table: "taps", Key: `k"<1`, Rev: 8, Sum: make([]byte, 16)}, {Table: "taps", Key: "k2", Rev: 8}}
		e, _, leaf := encode(t, d, at)
		want, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(leaf, want) {
			t.Errorf("%s:\n got %s\nwant %s", name, leaf, want)
		}
		again, err := ParseEntry(leaf)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if b, err := json.Marshal(again); err != nil || !bytes.Equal(b, leaf) {
			t.Errorf("%s: read back as %s", name, b)
		}
		if err := again.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDataStandsInTheOrderOfTheTableInUTC(t *testing.T) {
	e, _, _ := encode(t, viewing(), place)
	const want = `{"viewing":"v1","camera":"c01","from":"2026-05-20T01:42:03.12Z","to":"2026-05-20T02:42:03.12Z","mode":"playback","ground":"duty"}`
	if string(e.Data) != want {
		t.Errorf("got  %s\nwant %s", e.Data, want)
	}
}

func TestAHostileBrowserNameIsCutNotRefused(t *testing.T) {
	d := viewing()
	d.From.Device = strings.Repeat("校\"", 300)
	e, _, leaf := encode(t, d, place)
	if len(e.From.Device) != 200 || strings.ContainsAny(e.From.Device, `"校`) {
		t.Errorf("device %q", e.From.Device)
	}
	if _, err := ParseEntry(leaf); err != nil {
		t.Error(err)
	}
}

func TestDraftsThatDoNotFitTheTableAreRefusedByField(t *testing.T) {
	change := func(f func(*Draft)) Draft { d := viewing(); f(&d); return d }
	data := func(name string, v any) Draft {
		return change(func(d *Draft) {
			m := d.Data.(map[string]any)
			if m[name] = v; v == nil {
				delete(m, name)
			}
		})
	}
	for _, c := range []struct {
		field string
		d     Draft
	}{
		{"", change(func(d *Draft) { d.Kind = "no.such" })},
		{"camera", data("camera", nil)},
		{"camera", data("camera", 5)},
		{"camera", data("camera", "C01")},
		{"camera", data("camera", "校门")},
		{"camera", data("camera", strings.Repeat("c", 65))},
		{"from", data("from", "yesterday")},
		{"colour", data("colour", "red")},
		{"data", data("周以宁", "red")},
		{"data", change(func(d *Draft) { d.Data = []int{1} })},
		{"data", change(func(d *Draft) { d.Data = make(chan int) })},
		{"actor", change(func(d *Draft) { d.Actor.ID = "" })},
		{"role", change(func(d *Draft) { d.Actor.Role = "Leader" })},
		{"subject", change(func(d *Draft) { d.Subject = "周以宁" })},
		{"via", change(func(d *Draft) { d.Via = "" })},
		{"sealed", change(func(d *Draft) { d.Sealed[0].Name = "他" })},
		{"note", change(func(d *Draft) { d.Sealed[0].Name = "note" })},
		{"purpose", change(func(d *Draft) { d.Sealed[0].Owner = "" })},
		{"purpose", change(func(d *Draft) { d.Sealed = append(d.Sealed, d.Sealed[0]) })},
		{"purpose", change(func(d *Draft) { d.Sealed[0].Plain = make([]byte, MaxPart+1) })},
		{"count", Draft{Actor: System, Via: ViaSystem, Kind: "import", Data: map[string]any{"what": "roster", "count": 1.5}}},
		{"keys", Draft{Actor: System, Via: ViaSystem, Kind: "key.erased", Data: map[string]any{"ring": "people", "keys": make([]string, 65)}}},
		{"root", Draft{Actor: System, Via: ViaSystem, Kind: "sync.witnessed", Data: map[string]any{"size": 1, "root": []byte("short")}}},
		{"spans", Draft{Actor: System, Via: ViaSystem, Kind: "application.submitted", Data: map[string]any{
			"places": 1, "way": "view", "spans": []map[string]time.Time{{"from": instant, "to": instant.Add(-1)}}}}},
	} {
		var e Entry
		_, err := Prepare(&e, c.d, rand.Reader)
		invalid, ok := errors.AsType[*InvalidError](err)
		if !ok || invalid.Field != c.field {
			t.Errorf("want a fault in %q, got %v", c.field, err)
		}
	}
	spans := make([]map[string]time.Time, 64)
	cameras := make([]string, 64)
	for i := range spans {
		spans[i], cameras[i] = map[string]time.Time{"from": instant, "to": instant}, strings.Repeat("c", 64)
	}
	var e Entry
	_, err := Prepare(&e, Draft{Actor: System, Via: ViaSystem, Kind: "application.approved", Data: map[string]any{"cameras": cameras, "spans": spans, "until": instant}}, rand.Reader)
	if _, ok := errors.AsType[*InvalidError](err); !ok {
		t.Errorf("an entry beyond %d bytes: %v", MaxLeaf, err)
	}
}

// The table itself: each kind can be written with all its fields, at their smallest, and reads back as it is.
func TestEveryKindOfTheTableCanBeWritten(t *testing.T) {
	values := map[Type]any{
		Code: "a", Int: 1, Time: instant, Hash: make([]byte, 32), Bool: true, Codes: []string{"a"},
		Spans: []map[string]time.Time{{"from": instant, "to": instant}},
	}
	for kind, spec := range Kinds {
		if !isCode(string(kind)) {
			t.Errorf("kind %q is not a code", kind)
		}
		d := Draft{Actor: System, Via: ViaSystem, Kind: kind}
		data := map[string]any{}
		for _, f := range spec.Data {
			if _, twice := data[f.Name]; twice || !isCode(f.Name) || values[f.Type] == nil {
				t.Errorf("kind %q: field %q twice, not a code, or of no type", kind, f.Name)
			}
			data[f.Name] = values[f.Type]
		}
		d.Data = data
		for _, part := range spec.Sealed {
			d.Sealed = append(d.Sealed, Part{Name: part.Name, Owner: "person:p001", Plain: []byte("x")})
		}
		e, _, leaf := encode(t, d, place)
		again, err := ParseEntry(leaf)
		if err != nil || again.Check() != nil || len(e.Sealed) != len(spec.Sealed) {
			t.Errorf("kind %q: %v, %v", kind, err, again.Check())
		}
	}
}

func TestOnlyTheStoredFormIsRead(t *testing.T) {
	_, _, leaf := encode(t, viewing(), place)
	text := string(leaf)
	for name, changed := range map[string]string{
		"space":         strings.Replace(text, `,"via"`, `, "via"`, 1),
		"extra field":   strings.Replace(text, `,"via"`, `,"x":1,"via"`, 1),
		"twice":         strings.Replace(text, `,"via":"web"`, `,"via":"web","via":"web"`, 1),
		"order":         strings.Replace(text, `"v":1,"alg":"sha256"`, `"alg":"sha256","v":1`, 1),
		"escaped":       strings.Replace(text, `"web"`, `"\u0077eb"`, 1),
		"trailing":      text + " ",
		"case":          strings.Replace(text, `"seq"`, `"Seq"`, 1),
		"algorithm":     strings.Replace(text, `"sha256"`, `"sm3"`, 1),
		"empty":         "",
		"zone":          strings.Replace(text, "03.12Z", "03.12+00:00", 1),
		"null":          "null",
		"not UTF-8":     strings.Replace(text, "duty", "d\xffty", 1),
		"larger than a": text + strings.Repeat(" ", MaxLeaf),
	} {
		if _, err := ParseEntry([]byte(changed)); err == nil {
			t.Errorf("%s was accepted: %s", name, changed)
		}
	}
	if _, err := ParseEntry([]byte(strings.Replace(text, `"v":1`, `"v":2,"new":true`, 1))); !errors.Is(err, ErrVersion) {
		t.Errorf("a later version: %v", err)
	}
}

// rfcRoot is MTH of RFC 6962 section 2.1, word for word.
func rfcRoot(d [][]byte) [32]byte {
	n := len(d)
	if n == 0 {
		return sha256.Sum256(nil)
	}
	if n == 1 {
		return sha256.Sum256(append([]byte{0x00}, d[0]...))
	}
	k := 1
	for k*2 < n {
		k *= 2
	}
	l, r := rfcRoot(d[:k]), rfcRoot(d[k:])
	return sha256.Sum256(append(append([]byte{0x01}, l[:]...), r[:]...))
}

func TestTreeIsThatOfRFC6962(t *testing.T) {
	var tree Tree
	var leaves [][]byte
	for n := range 300 {
		if tree.Root() != tlog.Hash(rfcRoot(leaves)) || tree.Size() != uint64(n) {
			t.Fatalf("the root of %d leaves differs", n)
		}
		restored, ok := TreeOf(tree.Size(), tree.Peaks())
		if !ok || restored.Root() != tree.Root() {
			t.Fatalf("%d leaves: the tree does not restore from its peaks", n)
		}
		leaves = append(leaves, []byte{byte(n), byte(n >> 8)})
		tree.Add(leaves[n])
	}
	if _, ok := TreeOf(3, nil); ok {
		t.Error("a tree without its peaks was restored")
	}
}

func checkpoint(t testing.TB, size uint64, root tlog.Hash, witness bool) (msg []byte, keys []string) {
	t.Helper()
	s, err := Signer("campuskeep/ck-0417", logKey)
	if err != nil {
		t.Fatal(err)
	}
	msg, err = Checkpoint{Origin("campuskeep/ck-0417", 1), size, root}.Sign(s)
	if err != nil {
		t.Fatal(err)
	}
	keys = []string{VerifierKey("campuskeep/ck-0417", logKey.Public().(ed25519.PublicKey))}
	if !witness {
		return msg, keys
	}
	v, err := ParseVerifier(keys[0])
	if err != nil {
		t.Fatal(err)
	}
	w, err := WitnessSigner("campuskeep-centre/yunting", centreKey, instant)
	if err != nil {
		t.Fatal(err)
	}
	if msg, err = Cosign(msg, v, w); err != nil {
		t.Fatal(err)
	}
	return msg, append(keys, WitnessKey("campuskeep-centre/yunting", centreKey.Public().(ed25519.PublicKey)))
}

// testProof is the proof of entry 2 of 5.
func testProof(t testing.TB, witness bool) Proof {
	t.Helper()
	var tree Tree
	var hashes []tlog.Hash // as tlog stores them
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = hashes[x]
		}
		return out, nil
	})
	var p Proof
	for seq := range uint64(5) {
		at := place
		at.Seq = seq
		_, prepared, leaf := encode(t, viewing(), at)
		if seq == 2 {
			p.Leaf, p.Parts = leaf, prepared.Open
		}
		tree.Add(leaf)
		stored, err := tlog.StoredHashes(int64(seq), leaf, reader)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, stored...)
	}
	path, err := tlog.ProveRecord(5, 2, reader)
	if err != nil {
		t.Fatal(err)
	}
	p.Path = path
	p.Checkpoint, p.Keys = checkpoint(t, 5, tree.Root(), witness)
	return p
}

func TestProofShowsTheEntryAndWhoConfirmsIt(t *testing.T) {
	for _, witness := range []bool{false, true} {
		p, err := ParseProof(testProof(t, witness).Format())
		if err != nil {
			t.Fatal(err)
		}
		v, err := p.Verify()
		if err != nil || v.Trusted || v.Entry.Seq != 2 || string(v.Parts[0].Plain) != "lost bicycle" || v.Size != 5 {
			t.Fatalf("without a trusted key: %+v, %v", v, err)
		}
		if witness != v.Witnessed.Equal(instant.Truncate(time.Second)) {
			t.Errorf("witnessed at %v", v.Witnessed)
		}
		for i, k := range p.Keys {
			key, err := ParseVerifier(k)
			if err != nil {
				t.Fatal(err)
			}
			if v, err := p.Verify(key); err != nil || !v.Trusted {
				t.Errorf("trusting key %d: %v", i, err)
			}
		}
		stranger, err := ParseVerifier(VerifierKey("campuskeep/ck-0417", centreKey.Public().(ed25519.PublicKey)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Verify(stranger); !errors.Is(err, ErrUntrusted) {
			t.Errorf("trusting another key: %v", err)
		}
	}
}

// A proof has no byte that may be changed: neither what is signed nor anything around it.
func TestNoByteOfAProofCanBeChanged(t *testing.T) {
	text := testProof(t, true).Format()
	for i := range text {
		for _, bit := range []byte{1, 0x20, 0x80} {
			changed := bytes.Clone(text)
			changed[i] ^= bit
			if p, err := ParseProof(changed); err == nil {
				if _, err := p.Verify(); err == nil {
					t.Fatalf("byte %d of %q… may be %q", i, text[max(0, i-20):i+1], changed[i])
				}
			}
		}
	}
	for _, changed := range [][]byte{append(bytes.Clone(text), '\n'), text[:len(text)-1], append([]byte(" "), text...), nil} {
		if p, err := ParseProof(changed); err == nil {
			if _, err := p.Verify(); err == nil {
				t.Fatal("a proof cut or extended was accepted")
			}
		}
	}
}

func TestAPartOfAnotherEntryIsRefused(t *testing.T) {
	p := testProof(t, false)
	p.Parts[0].Plain = []byte("curiosity")
	if _, err := p.Verify(); err == nil {
		t.Error("another text was accepted")
	}
	p = testProof(t, false)
	p.Parts = append(p.Parts, p.Parts[0])
	if _, err := p.Verify(); err == nil {
		t.Error("a part given twice was accepted")
	}
	p = testProof(t, false)
	p.Keys = append(p.Keys, WitnessKey("x", centreKey.Public().(ed25519.PublicKey)))
	if _, err := p.Verify(); err == nil {
		t.Error("a key that signed nothing was accepted")
	}
}

func testExport(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewExportWriter(&out, 4)
	var tree Tree
	for seq := range uint64(4) {
		at := place
		at.Seq = seq
		_, _, leaf := encode(t, viewing(), at)
		tree.Add(leaf)
		var err error
		if seq == 1 {
			err = w.Hash(tlog.RecordHash(leaf))
		} else {
			err = w.Leaf(leaf)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	msg, keys := checkpoint(t, 4, tree.Root(), true)
	if err := w.Close(keys, msg); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestExportIsVerifiedToTheLastByte(t *testing.T) {
	text := testExport(t)
	v, err := VerifyExport(bytes.NewReader(text), nil)
	if err != nil || v.Trusted || v.Size != 4 || len(v.Lost) != 1 || v.Lost[0] != 1 {
		t.Fatalf("%+v, %v", v, err)
	}
	for i := range text {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		if _, err := VerifyExport(bytes.NewReader(changed), nil); err == nil {
			t.Fatalf("byte %d of the export may be changed", i)
		}
		if _, err := VerifyExport(bytes.NewReader(text[:i]), nil); err == nil {
			t.Fatalf("the export cut at %d was accepted", i)
		}
	}
	if _, err := VerifyExport(bytes.NewReader(append(text, 'x')), nil); err == nil {
		t.Error("a longer export was accepted")
	}
	w := NewExportWriter(&bytes.Buffer{}, 2)
	if err := w.Close(nil, nil); err == nil {
		t.Error("an export with too few leaves was closed")
	}
	if err := w.Leaf([]byte("{\n}")); err == nil {
		t.Error("a leaf of two lines was written")
	}
}

func TestCosignatureFollowsC2SP(t *testing.T) {
	msg, keys := checkpoint(t, 5, tlog.Hash{1}, true)
	c, n, err := func() (Checkpoint, string, error) {
		v, err := ParseVerifier(keys[1])
		if err != nil {
			return Checkpoint{}, "", err
		}
		c, n, err := OpenCheckpoint(msg, v)
		if err != nil {
			return c, "", err
		}
		at, ok := CosignatureTime(n, v)
		if !ok || !at.Equal(instant.Truncate(time.Second)) {
			t.Errorf("time %v", at)
		}
		return c, n.Text, nil
	}()
	if want := (Checkpoint{"campuskeep/ck-0417/1", 5, tlog.Hash{1}}); err != nil || c != want || n != want.Text() {
		t.Errorf("%+v %q %v", c, n, err)
	}
	name, epoch, err := SplitOrigin(c.Origin)
	if name != "campuskeep/ck-0417" || epoch != 1 || err != nil {
		t.Errorf("%q %d %v", name, epoch, err)
	}
	for _, bad := range []string{"", "x", "/1", "x/", "x/0", "x/01", "x/-1", "x/1 "} {
		if _, _, err := SplitOrigin(bad); err == nil {
			t.Errorf("origin %q was accepted", bad)
		}
	}
	for _, bad := range []string{"", "x", "x+y+z", strings.Replace(keys[0], "+", " +", 1), keys[0] + "=", keys[0][:len(keys[0])-2] + "B="} {
		if _, err := ParseVerifier(bad); err == nil {
			t.Errorf("key %q was accepted", bad)
		}
	}
}

func FuzzParseEntry(f *testing.F) {
	_, _, leaf := encode(f, viewing(), place)
	f.Add(leaf)
	f.Add([]byte(`{"v":1,"alg":"sha256","seq":0}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEntry(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(e)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted %q, which is %q", b, again)
		}
		_ = e.Check()
	})
}

func FuzzParseProof(f *testing.F) {
	f.Add(testProof(f, true).Format())
	f.Add([]byte("campuskeep proof 1\nentry\n{}\nparts 0\npath 0\nkeys 0\ncheckpoint\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProof(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Format(), b) {
			t.Errorf("%q is not written back as it was read", b)
		}
		if v, err := p.Verify(); err == nil && v.Entry.Seq >= v.Size {
			t.Error("an entry beyond the tree was verified")
		}
	})
}

func FuzzVerifyExport(f *testing.F) {
	f.Add(testExport(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := VerifyExport(bytes.NewReader(b), nil); err == nil && v.LogKey == "" {
			t.Error("verified without the log's key")
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	msg, keys := checkpoint(f, 5, tlog.Hash{1}, true)
	f.Add(msg, keys[0], keys[1])
	f.Fuzz(func(t *testing.T, msg []byte, a, b string) {
		h, err := VerifyHead(msg, []string{a, b}, nil)
		if err == nil && h.LogKey == "" {
			t.Error("verified without the log's signature")
		}
		if c, err := ParseCheckpointText(string(msg)); err == nil && c.Text() != string(msg) {
			t.Error("a checkpoint that is not canonical was read")
		}
	})
}
