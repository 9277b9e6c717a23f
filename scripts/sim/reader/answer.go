package readersim

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"
)

// answer does what a command says and sends the reply, as broken as the fault in force wants it.
func (d *Device) answer(ctx context.Context, p *packet) error {
	d.mu.Lock()
	d.woken = d.woken || p.code == 0x60
	if d.o.OnlySum && p.crc || d.o.Shy && !d.woken {
		d.mu.Unlock()
		return nil
	}
	fault := d.fault
	if d.times == 0 {
		fault = FaultNone
	} else if d.times > 0 {
		d.times--
	}
	if fault == FaultSilent {
		d.mu.Unlock()
		return nil
	}
	if d.restarts {
		d.restarts, d.lastSeq, d.last = false, 0, nil
	}
	var events []Event
	out := d.last
	if p.seq == 0 {
		d.session = nil // the panel begins again
	}
	if fault == FaultDrop {
		d.session = nil
	}
	if p.seq == 0 || p.seq != d.lastSeq || d.last == nil {
		out, events = d.react(p, fault)
	}
	d.mu.Unlock()
	for _, e := range events {
		d.event(e)
	}
	return d.send(ctx, out, fault)
}

// react is the device proper. Call with mu held.
func (d *Device) react(p *packet, fault Fault) ([]byte, []Event) {
	re := packet{addr: d.o.Address, seq: p.seq, code: 0x40, crc: p.crc && !d.o.Checksum}
	nak := func(code byte) ([]byte, []Event) {
		re.code, re.body = 0x41, []byte{code}
		return re.reply(), nil
	}
	expected := d.lastSeq%3 + 1
	if fault == FaultNAK {
		return nak(0x01)
	}
	if p.seq != 0 && (d.last == nil || p.seq != expected) {
		if d.o.ZeroNAK {
			re.seq = 0
		}
		return nak(0x04)
	}
	if fault == FaultSecure || fault == FaultNoPoll && p.code != 0x61 && p.code != 0x62 {
		return nak(0x06)
	}
	if fault == FaultBusy {
		re.code, re.seq = 0x79, 0
		return re.reply(), nil
	}
	if fault == FaultForge && p.scb != nil {
		re.code, re.body = 0x50, cardBody([]byte{0xBA, 0xD0, 0xBA, 0xD0}, fault)
		return re.reply(), nil
	}
	if out, events, done := d.secured(p, re, nak, fault); done {
		return out, events
	}
	var events []Event
	switch p.code {
	case 0x60:
		if len(d.cards) > 0 {
			re.code, re.body = 0x50, cardBody(d.cards[0], fault)
			if fault == FaultText {
				text := fmt.Sprintf("%X", d.cards[0])
				re.code, re.body = 0x51, append([]byte{0, 0, byte(len(text))}, text...)
			}
			events = append(events, Event{Kind: "card", UID: d.cards[0]})
			d.cards = d.cards[1:]
		}
	case 0x61:
		re.code, re.body = 0x45, []byte{0xCA, 0x3B, 0x0C, 1, 1, 0x39 + d.o.Serial, 0x30, 0, 0, 2, 2, 0}
		events = append(events, Event{Kind: "online"})
	case 0x62:
		re.code, re.body = 0x46, []byte{3, 1, 0, 4, 4, 1, 5, 2, 1, 8, 1, 0, 9, 0, 0, 10, 0, 2}
		if d.o.Plain {
			re.body[4], re.body[7] = 0, 0
		}
	case 0x69:
		events = append(events, d.led(p.body))
	case 0x6A:
		events = append(events, d.buzzer(p.body))
	default:
		return nak(0x03)
	}
	out := re.reply
	if p.scb != nil {
		out = func() []byte { return d.session.sealed(re) }
	}
	return d.answered(p, out()), events
}

func cardBody(uid []byte, fault Fault) []byte {
	bits := 8 * len(uid)
	if fault == FaultShort {
		bits += 40
	}
	return append([]byte{0, 0, byte(bits), byte(bits >> 8)}, uid...)
}

var colours = [...]string{"black", "red", "green", "amber", "blue"}

func (d *Device) led(b []byte) Event {
	e := Event{Kind: "led", At: time.Now(), Colour: "?"}
	if len(b) == 14 {
		switch {
		case b[2] == 1:
			e.Colour = "off"
		case b[2] == 2 && int(b[5]) < len(colours):
			e.Colour = colours[b[5]]
		}
	}
	e.SinceTap = d.sinceTap(e.At)
	return e
}

func (d *Device) buzzer(b []byte) Event {
	e := Event{Kind: "beep", At: time.Now()}
	if len(b) == 5 && b[1] == 2 {
		e.Beeps, e.Tone = int(b[4]), time.Duration(b[2])*100*time.Millisecond
	}
	e.SinceTap = d.sinceTap(e.At)
	if e.Beeps > 0 && len(d.unbeeped) > 0 {
		d.unbeeped = d.unbeeped[1:]
	}
	return e
}

func (d *Device) sinceTap(now time.Time) time.Duration {
	if len(d.unbeeped) == 0 {
		return 0
	}
	return now.Sub(d.unbeeped[0])
}

// send writes the answer through the fault.
func (d *Device) send(ctx context.Context, out []byte, fault Fault) error {
	out = append([]byte(nil), out...)
	switch fault {
	case FaultGarbage:
		noise := make([]byte, 1+rand.IntN(40))
		for i := range noise {
			noise[i] = byte(rand.Uint32())
		}
		out = append(noise, out...)
	case FaultBadCRC:
		out[len(out)-1] ^= 0xFF
	case FaultMAC:
		if out[4]&8 != 0 && out[4]&4 != 0 {
			msg := out[:len(out)-2]
			msg[len(msg)-1] ^= 1
			out = binary.LittleEndian.AppendUint16(msg, bitwiseCRC(msg))
		}
	case FaultTruncate:
		out = out[:len(out)/2]
	case FaultLength:
		out[2], out[3] = 0xFF, 0xFF
	case FaultSeq:
		// A valid packet under a number that was not asked for.
		p := packet{addr: out[1] & 0x7F, seq: (out[4] + 1) & 3, code: out[5], crc: out[4]&4 != 0}
		p.body = out[6 : len(out)-1]
		if p.crc {
			p.body = out[6 : len(out)-2]
		}
		out = p.reply()
	case FaultLate:
		t := time.NewTimer(250 * time.Millisecond)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	case FaultSplit:
		for i := range out {
			if _, err := d.master.Write(out[i : i+1]); err != nil {
				return fmt.Errorf("write the pseudo-terminal: %w", err)
			}
		}
		return nil
	}
	if _, err := d.master.Write(out); err != nil {
		return fmt.Errorf("write the pseudo-terminal: %w", err)
	}
	return nil
}
