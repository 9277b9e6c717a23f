package reader

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campuskeep/shared/clock/clocktest"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpiotest"
)

// wiegandBits are a number as a reader sends it: written apart from the product, bit by bit.
func wiegandBits(raw []byte, format int) []bool {
	out := make([]bool, format)
	n := format - 2
	for i := range n {
		out[i+1] = raw[i/8]>>(7-i%8)&1 == 1
	}
	half := (n + 1) / 2
	for i := range half {
		out[0] = out[0] != out[1+i]
	}
	out[format-1] = true
	for i := n - half; i < n; i++ {
		out[format-1] = out[format-1] != out[1+i]
	}
	return out
}

type wires struct {
	d0, d1 *gpiotest.Pin
	reader *Wiegand
	cards  []CardRead
}

func newWires(id string, bits int) *wires {
	w := &wires{d0: &gpiotest.Pin{N: id + "-D0", EdgesChan: make(chan gpio.Level, 256)}, d1: &gpiotest.Pin{N: id + "-D1", EdgesChan: make(chan gpio.Level, 256)}}
	w.reader = NewWiegand(WiegandOptions{ID: id, Bits: bits, Clock: clocktest.RunningFrom(time.Now(), time.Now), Log: slog.New(slog.DiscardHandler),
		Open: func() (gpio.PinIn, gpio.PinIn, error) { return w.d0, w.d1, nil }, OnCard: func(c CardRead) { w.cards = append(w.cards, c) }})
	return w
}

func (w *wires) send(bits []bool) {
	for _, b := range bits {
		p := w.d0
		if b {
			p = w.d1
		}
		p.EdgesChan <- gpio.Low
		time.Sleep(2 * time.Millisecond)
	}
}

// Numbers of each format are read over two lines; noise, missing bits and wrong parity give no card; two readers side
// by side do not mix. Covers S6.
func TestWiegand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		formats := map[int][]byte{26: {0x7B, 0xB2, 0x6E}, 34: {4, 0xA2, 0xB3, 0xC4}, 37: {0x12, 0x34, 0x56, 0x78, 0x80}, 66: {1, 2, 3, 4, 5, 6, 7, 8}}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		all := map[int]*wires{}
		for f := range formats {
			w := newWires("w"+string(rune('0'+f%10)), f)
			all[f] = w
			wg.Go(func() {
				if err := w.reader.Run(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("the reader ended with %v", err)
				}
			})
		}
		time.Sleep(time.Second)
		var senders sync.WaitGroup
		for f, raw := range formats {
			senders.Go(func() { // all at the same time
				w, bits := all[f], wiegandBits(raw, f)
				w.send(bits)
				time.Sleep(100 * time.Millisecond)
				w.send(bits[:f-1]) // a bit is missing
				time.Sleep(100 * time.Millisecond)
				w.send([]bool{true}) // noise
				time.Sleep(100 * time.Millisecond)
				bad := bytes.Clone(raw)
				bad[1] ^= 0x10
				wrong := wiegandBits(bad, f)
				wrong[5] = !wrong[5]
				w.send(wrong)
				time.Sleep(100 * time.Millisecond)
				w.send(make([]bool, f)) // a line that is cut
				time.Sleep(100 * time.Millisecond)
				w.send(make([]bool, 500))
				time.Sleep(time.Second)
			})
		}
		senders.Wait()
		cancel()
		wg.Wait()
		for f, w := range all {
			if len(w.cards) != 1 || w.cards[0].Bits != f-2 || !bytes.Equal(w.cards[0].UID, formats[f]) {
				t.Errorf("%d bits: read %+v", f, w.cards)
			}
			if n, _ := w.reader.Counts(w.reader.o.ID); n.Reads != 1 || n.Malformed != 5 {
				t.Errorf("%d bits: counted %+v", f, n)
			}
			if s := w.reader.Statuses()[0]; s.State != Offline || s.Reason != ReasonStop {
				t.Errorf("at the end %+v", s)
			}
		}
	})
}

// Every single bit that turns is noticed, and a frame is a card only with its own length.
func FuzzWiegand(f *testing.F) {
	f.Add([]byte{0x7B, 0xB2, 0x6E}, 26, 3)
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 66, 40)
	f.Fuzz(func(t *testing.T, raw []byte, format, flip int) {
		if _, ok := wiegandParity[format]; !ok || len(raw) < (format+5)/8 {
			if _, _, err := decodeWiegand(make([]bool, len(raw)), format); err == nil {
				t.Fatal("no format gives a card")
			}
			return
		}
		bits := wiegandBits(raw, format)
		n, got, err := decodeWiegand(bits, format)
		if err != nil && !errors.Is(err, errWiegandRest) {
			t.Fatalf("% x as %d bits: %v", raw, format, err)
		}
		if err == nil && (n != format-2 || len(got) != (n+7)/8) {
			t.Fatalf("%d bits in %d bytes", n, len(got))
		}
		if flip < 0 || flip >= format || format == 37 && flip == 18 { // the middle bit of 37 is in both halves
			return
		}
		bits[flip] = !bits[flip]
		if _, _, err := decodeWiegand(bits, format); err == nil {
			t.Fatalf("bit %d may turn", flip)
		}
	})
}
