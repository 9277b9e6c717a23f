package reader

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"campuskeep/scripts/sim/reader"
)

// The keys, cryptograms and signatures of one session, computed with openssl from the formulas of OSDP 2.2, annex D:
// SCBK 00…0F, RND.A B0…B7, RND.B C0…C7.
func TestSecureChannelVectors(t *testing.T) {
	var key Key
	for i := range key {
		key[i] = byte(i)
	}
	c := newChannel(key)
	copy(c.rndA[:], unhex(t, "B0B1B2B3B4B5B6B7"))
	rndB := unhex(t, "C0C1C2C3C4C5C6C7")
	reply := frame{code: replyCCrypt, secure: true, scs: scsClient, scsData: []byte{1},
		data: bytes.Join([][]byte{unhex(t, "0011223344556677"), rndB, unhex(t, vectorPD)}, nil)}
	cmd, err := c.answer(reply)
	if err != nil || hex.EncodeToString(cmd.data) != vectorCP {
		t.Fatalf("cryptogram of the panel %x, %v", cmd.data, err)
	}
	if err := c.confirm(frame{code: replyRMAC, secure: true, scs: scsInitialMAC, scsData: []byte{1}, data: unhex(t, vectorRMAC)}); err != nil {
		t.Fatal(err)
	}
	poll := c.seal(nil, frame{address: 5, seq: 3, crc: true, code: cmdPoll})
	if got := hex.EncodeToString(poll); got != vectorPoll {
		t.Errorf("a poll is %s", got)
	}
	if again := c.seal(nil, frame{address: 5, seq: 3, crc: true, code: cmdPoll}); !bytes.Equal(again, poll) {
		t.Errorf("sent again it is % x", again)
	}
	ack := unhex(t, vectorAck)
	d := decoder{}
	d.feed(ack)
	f, ok := d.next()
	if !ok {
		t.Fatal("the answer is no frame")
	}
	for i := range f.signed {
		bad := f
		bad.signed = bytes.Clone(f.signed)
		bad.signed[i] ^= 0x10
		if _, err := c.unseal(bad); err == nil {
			t.Errorf("byte %d may be changed", i)
		}
	}
	if got, err := c.unseal(f); err != nil || got.code != replyACK || len(got.data) != 0 {
		t.Errorf("the answer is %+v, %v", got, err)
	}
	buzz := c.seal(nil, frame{address: 5, seq: 1, crc: true, code: cmdBuzzer, data: []byte{0, 2, 1, 0, 1}})
	if got := hex.EncodeToString(buzz); got != vectorBuzz {
		t.Errorf("a buzzer command is %s", got)
	}
	raw := unhex(t, vectorRaw)
	d.feed(raw)
	if f, ok = d.next(); !ok {
		t.Fatal("the card is no frame")
	}
	got, err := c.unseal(f)
	if err != nil || got.code != replyRaw || hex.EncodeToString(got.data) != "0000200004a2b3c4" {
		t.Errorf("the card is %x, %v", got.data, err)
	}
	c.seal(nil, frame{address: 5, seq: 2, crc: true, code: cmdPoll})
	if _, err := c.unseal(f); err == nil {
		t.Error("a recorded card counts as the answer to another poll")
	}
}

var ownKey = Key{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

func secureBench(t *testing.T, o readersim.Options, d Device) *bench {
	d.ID, d.Secure = "r01", true
	return newBenchWith(t, o, d)
}

// Inside the channel a card is read and answered, with CRC and with the checksum, and faults of the line lose none.
func TestCardsInsideTheSecureChannel(t *testing.T) {
	for name, o := range map[string]readersim.Options{"CRC": {SCBK: ownKey[:], Enforce: true}, "checksum": {SCBK: ownKey[:], OnlySum: true, Checksum: true, Enforce: true}, "address": {SCBK: ownKey[:], Address: 9}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := secureBench(t, o, Device{HasKey: true, Key: ownKey, Address: o.Address})
			if s := b.state(Online, ReasonAnswers); !s.Secure {
				t.Errorf("on line without the channel: %+v", s)
			}
			for i, fault := range []readersim.Fault{readersim.FaultNone, readersim.FaultBadCRC, readersim.FaultTruncate, readersim.FaultBusy, readersim.FaultGarbage, readersim.FaultNAK, readersim.FaultMAC} {
				b.dev.Break(fault, 1)
				uid := []byte{7, 7, 7, byte(i)}
				b.dev.Tap(uid)
				b.card(uid)
				if err := b.bus.Feedback("r01", 1); err == nil {
					b.event("beep")
				}
			}
			if c, _ := b.bus.Counts("r01"); c.Reads != 7 {
				t.Errorf("7 cards were read as %d", c.Reads)
			}
		})
	}
}

// Nothing that comes in clear counts while the reader is set to the channel, and a card that somebody forges on the
// cable is none.
func TestForgedCardsDoNotCount(t *testing.T) {
	b := secureBench(t, readersim.Options{SCBK: ownKey[:]}, Device{HasKey: true, Key: ownKey})
	b.state(Online, ReasonAnswers)
	b.dev.Break(readersim.FaultForge, -1)
	b.state(Refused, ReasonChannel)
	b.dev.Break(readersim.FaultNone, 0)
	b.state(Online, ReasonAnswers)
	b.dev.Tap([]byte{1, 1, 1, 1})
	if c := <-b.cards; !bytes.Equal(c.UID, []byte{1, 1, 1, 1}) {
		t.Errorf("a forged card counted: % x", c.UID)
	}
	b.dev.Break(readersim.FaultDrop, 1) // it forgets the channel: opened again, no card lost
	b.dev.Tap([]byte{2, 2, 2, 2})
	b.card([]byte{2, 2, 2, 2})
}

// A reader gets a key only while it is being installed; one that was reset, or another in its place, gets none.
func TestReaderIsKeyedOnlyWhileInstalled(t *testing.T) {
	b := secureBench(t, readersim.Options{Install: true}, Device{HasKey: true, Key: ownKey, Install: time.Hour})
	b.state(Online, ReasonAnswers)
	select {
	case id := <-b.keyed:
		if id != "r01" {
			t.Errorf("keyed %s", id)
		}
	default:
		t.Error("nobody is told that the reader took its key")
	}
	b.dev.Tap([]byte{3, 3, 3, 3})
	b.card([]byte{3, 3, 3, 3})
	b.dev.Break(readersim.FaultSilent, -1)
	b.state(Offline, ReasonSilent)
	b.dev.Break(readersim.FaultForget, -1)
	b.state(Refused, ReasonKey)

	reset := secureBench(t, readersim.Options{Install: true}, Device{HasKey: true, Key: ownKey})
	reset.state(Refused, ReasonKey)
	other := secureBench(t, readersim.Options{SCBK: bytes.Repeat([]byte{9}, 16)}, Device{HasKey: true, Key: ownKey})
	other.state(Refused, ReasonKey)
	none := secureBench(t, readersim.Options{Install: true}, Device{})
	none.state(Refused, ReasonNoKey)
	old := newBenchWith(t, readersim.Options{}, Device{ID: "r01", Secure: true, HasKey: true, Key: ownKey})
	old.state(Refused, ReasonKey)
	for _, x := range []*bench{reset, other, none, old} {
		select {
		case id := <-x.keyed:
			t.Errorf("%s got a key that nobody asked for", id)
		default:
		}
	}
}

// No bytes from the line make the channel fail otherwise than by refusing them, and what was refused changes nothing.
func FuzzSecureFrames(f *testing.F) {
	for _, s := range []string{vectorAck, vectorRaw, vectorPoll} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c := newChannel(ownKey)
		c.rndA = [8]byte{1}
		c.enc, c.mac1, c.mac2 = sessionKey(ownKey, 1, 0x82, c.rndA), sessionKey(ownKey, 1, 1, c.rndA), sessionKey(ownKey, 1, 2, c.rndA)
		before := c.rMAC
		d := decoder{}
		d.feed(in)
		for fr, ok := d.next(); ok; fr, ok = d.next() {
			if _, err := newChannel(ownKey).answer(fr); err == nil {
				t.Fatal("anybody opened the channel")
			}
			if _, err := c.unseal(fr); err != nil && c.rMAC != before {
				t.Fatal("a refused frame changed the channel")
			}
			before = c.rMAC
		}
	})
}

const (
	vectorPD   = "dfd544f22a753b4e2a259a854e3055ac"
	vectorCP   = "5da7234296ced19f04c01f2ee042a8c2"
	vectorRMAC = "a5b0040d4d02c9318cf4ff8c5f2c41b3"
	vectorPoll = "ff53050e000f021560056ba503500a"
	vectorAck  = "53850e000f0216408fc82a35c249"
	vectorBuzz = "ff53051e000d02176ade2fd07f7059139625bab685b727a737c88a929d110d"
	vectorRaw  = "53851e000d021850e7197c5c8b0d0a2e7d596b5fb32f826ee7d6a7213b37"
)
