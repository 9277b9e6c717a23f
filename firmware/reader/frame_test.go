package reader

import (
	"bytes"
	"encoding/hex"
	"testing"

	"pgregory.net/rapid"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Packets as the open implementations of the standard put them on the wire.
func TestFramesOnTheWire(t *testing.T) {
	for _, c := range []struct {
		name string
		f    frame
		want string
	}{
		{"poll of 101", frame{address: 0x65, crc: true, code: cmdPoll}, "ff5365080004606090"},
		{"identification of 101", frame{address: 0x65, crc: true, code: cmdID, data: []byte{0}}, "ff536509000461" + "00" + "d97a"},
		{"challenge of 101", frame{address: 0x65, crc: true, code: 0x76, data: []byte{1, 2, 3, 4, 5, 6, 7, 8}}, "ff53651000047601020304050607080d20"},
	} {
		if got := hex.EncodeToString(c.f.append(nil)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestChecksumForm(t *testing.T) {
	b := frame{address: 1, seq: 2, code: cmdPoll}.append(nil)[1:]
	var sum byte
	for _, x := range b {
		sum += x
	}
	if len(b) != 7 || sum != 0 {
		t.Errorf("% x does not add up to 0", b)
	}
	f, n, err := parse(b)
	if err != nil || n != 7 || f.crc || f.seq != 2 || f.code != cmdPoll {
		t.Errorf("read back as %+v, %d, %v", f, n, err)
	}
}

// Any frame is found again behind any noise that holds no start byte, however the bytes are cut.
func TestDecoderFindsFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		noise := rapid.SliceOfN(rapid.Byte().Filter(func(b byte) bool { return b != som }), 0, 20)
		var want []frame
		var stream []byte
		for range rapid.IntRange(1, 5).Draw(t, "frames") {
			f := frame{address: byte(rapid.IntRange(0, maxAddress).Draw(t, "address")), reply: rapid.Bool().Draw(t, "reply"), seq: byte(rapid.IntRange(0, 3).Draw(t, "seq")),
				crc: rapid.Bool().Draw(t, "crc"), code: rapid.Byte().Draw(t, "code"), data: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "data")}
			want = append(want, f)
			stream = append(stream, noise.Draw(t, "noise")...)
			stream = f.append(stream)
		}
		var d decoder
		for len(stream) > 0 {
			n := rapid.IntRange(1, len(stream)).Draw(t, "cut")
			d.feed(stream[:n])
			stream = stream[n:]
			for got, ok := d.next(); ok; got, ok = d.next() {
				if len(want) == 0 {
					t.Fatalf("a frame that nobody sent: %+v", got)
				}
				w := want[0]
				want = want[1:]
				if got.address != w.address || got.reply != w.reply || got.seq != w.seq || got.crc != w.crc || got.code != w.code || !bytes.Equal(got.data, w.data) {
					t.Fatalf("sent %+v, found %+v", w, got)
				}
			}
		}
		if len(want) != 0 || d.malformed != 0 {
			t.Fatalf("%d frames not found, %d malformed", len(want), d.malformed)
		}
	})
}

func TestMalformedFramesAreCountedAndSkipped(t *testing.T) {
	good := frame{address: 1, reply: true, seq: 1, crc: true, code: replyACK}.append(nil)
	for name, bad := range map[string][]byte{
		"length 0":              unhex(t, "5381000004"),
		"length 65535":          unhex(t, "5381ffff0440"),
		"length without a code": unhex(t, "538107000440"),
		"wrong CRC":             unhex(t, "5381080005400000"),
		"wrong checksum":        unhex(t, "53810700014000"),
		"security block beyond": func() []byte {
			b := []byte{som, 0x81, 10, 0, ctrlCRC | ctrlSecure, 9, 0x11, 0x40}
			c := crc16(b)
			return append(b, byte(c), byte(c>>8))
		}(),
	} {
		var d decoder
		d.feed(bad)
		d.feed(good)
		f, ok := d.next()
		if !ok || f.code != replyACK || d.malformed == 0 {
			t.Errorf("%s: the frame behind it is found: %v; malformed %d", name, ok, d.malformed)
		}
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add(frame{address: 1, reply: true, crc: true, code: replyRaw, data: []byte{0, 0, 32, 0, 1, 2, 3, 4}}.append(nil))
	f.Add(frame{address: 1, reply: true, code: replyNAK, data: []byte{6}}.append(nil))
	f.Add([]byte{som, 0xFF, 0xFF, 0x05, 0x0C, 2, 0, som})
	f.Add([]byte{som, 0x80, 0x14, 0x00, 0x04, 0x45, 0x08})
	f.Fuzz(func(t *testing.T, in []byte) {
		var d decoder
		total := len(in)
		for len(in) > 0 {
			n := min(7, len(in))
			d.feed(in[:n])
			in = in[n:]
			for fr, ok := d.next(); ok; fr, ok = d.next() {
				if fr.code == replyRaw {
					if bits, uid, err := parseRaw(fr.data); err == nil && len(uid) != (bits+7)/8 {
						t.Errorf("%d bits in %d bytes", bits, len(uid))
					}
				}
				if _, _, err := parseID(fr.data); err == nil && len(fr.data) < 12 {
					t.Error("a short identification was taken")
				}
			}
			if len(d.buf) > maxFrame {
				t.Fatalf("the decoder holds %d bytes", len(d.buf))
			}
		}
		if d.malformed > uint64(total) {
			t.Errorf("%d malformed frames in %d bytes", d.malformed, total)
		}
	})
}
