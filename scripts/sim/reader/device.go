// Package readersim is a card reader that does not exist: an OSDP 2.2 peripheral device on a real
// pseudo-terminal, for demonstrations and tests.
//
// It owns the pty and reports every light and buzzer command that it receives, with the time since the card
// was held to it, so that a test can prove that a tap beeped. It must never share the product's protocol
// code: it is the second reading of the standard.
package readersim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// Fault is a way to misbehave.
type Fault string

// The ways to misbehave.
const (
	FaultNone     Fault = ""
	FaultSilent   Fault = "silent"   // does not answer: unplugged
	FaultGarbage  Fault = "garbage"  // random bytes before the answer
	FaultBadCRC   Fault = "badcrc"   // the answer's check bytes are wrong
	FaultTruncate Fault = "truncate" // half of the answer
	FaultLength   Fault = "length"   // an absurd length
	FaultLate     Fault = "late"     // the answer comes after 250 ms
	FaultSplit    Fault = "split"    // the answer comes byte by byte
	FaultSeq      Fault = "seq"      // the answer has another sequence number
	FaultBusy     Fault = "busy"
	FaultSecure   Fault = "secure"  // demands the secure channel
	FaultShort    Fault = "short"   // card data that says more bits than it has
	FaultRestart  Fault = "restart" // forgets its sequence number once
	FaultNoPoll   Fault = "nopoll"  // tells who it is in clear, and demands the secure channel for all else
	FaultNAK      Fault = "nak"     // says that what came was damaged, and has not done it
	FaultText     Fault = "text"    // card numbers as characters (osdp_FMT)

	// Of the secure channel.
	FaultMAC      Fault = "mac"      // an answer with a wrong signature
	FaultForge    Fault = "forge"    // somebody on the cable answers in clear, with a card that was never held
	FaultForget   Fault = "forget"   // it was reset: only the default key opens it
	FaultOtherKey Fault = "otherkey" // another reader in its place
	FaultDrop     Fault = "drop"     // it forgets the channel
)

// Faults lists them for help texts.
var Faults = []Fault{FaultSilent, FaultGarbage, FaultBadCRC, FaultTruncate, FaultLength, FaultLate, FaultSplit, FaultSeq, FaultBusy, FaultSecure, FaultShort, FaultRestart, FaultNoPoll, FaultNAK, FaultText, FaultMAC, FaultForge, FaultForget, FaultOtherKey, FaultDrop}

// Event is a command that the device received, or a card that it handed over.
type Event struct {
	At   time.Time
	Kind string // "beep", "led", "card", "online", "malformed", "secure", "key"

	Beeps  int           // beep: how many
	Tone   time.Duration // beep: how long each
	Colour string        // led: of the temporary setting
	// SinceTap is the time since the oldest tap that no beep has answered yet; 0 when there is none.
	SinceTap time.Duration
	UID      []byte // card
}

// Options are how the device is set.
type Options struct {
	Address  byte
	Checksum bool   // answers with the one-byte checksum instead of the CRC
	OnlySum  bool   // takes and gives the one-byte checksum only; a CRC is noise to it
	Shy      bool   // answers nothing before it was polled
	ZeroNAK  bool   // says under number 0 that it has lost count
	Plain    bool   // says that it has neither light nor buzzer
	SCBK     []byte // its key; nil: it has none
	Install  bool   // takes the default key, and a key of its own inside that channel
	Enforce  bool   // does nothing in clear but say who it is
	Serial   byte   // last byte of its serial number, for a reader in another's place
	OnEvent  func(Event)
}

// Device is one simulated reader.
type Device struct {
	o           Options
	master, tty *os.File

	mu       sync.Mutex
	cards    [][]byte
	unbeeped []time.Time // taps that no beep has answered yet
	fault    Fault
	times    int // how often the fault still happens; <0: for ever
	lastSeq  byte
	last     []byte // last answer, repeated when it is asked for again
	restarts bool
	woken    bool // was polled
	session  *session
}

// New opens the pty.
func New(o Options) (*Device, error) {
	m, t, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("open a pseudo-terminal: %w", err)
	}
	// Raw from the start: an echo would come back as noise.
	if err := errors.Join(raw(t), nonblock(m)); err != nil {
		return nil, errors.Join(err, m.Close(), t.Close())
	}
	return &Device{o: o, master: m, tty: t}, nil
}

func raw(t *os.File) error {
	tio, err := unix.IoctlGetTermios(int(t.Fd()), unix.TCGETS)
	if err == nil {
		tio.Iflag, tio.Oflag, tio.Lflag = 0, 0, 0
		tio.Cflag = tio.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
		tio.Cc[unix.VMIN], tio.Cc[unix.VTIME] = 1, 0
		err = unix.IoctlSetTermios(int(t.Fd()), unix.TCSETS, tio)
	}
	if err != nil {
		return fmt.Errorf("set the pseudo-terminal raw: %w", err)
	}
	return nil
}

// nonblock undoes what asking for the descriptor did: reads have to end at their deadlines.
func nonblock(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("reach the pseudo-terminal: %w", err)
	}
	var failed error
	if err := c.Control(func(fd uintptr) { failed = unix.SetNonblock(int(fd), true) }); err != nil || failed != nil {
		return fmt.Errorf("set the pseudo-terminal non-blocking: %w", errors.Join(err, failed))
	}
	return nil
}

// Path is the serial port that the control panel opens.
func (d *Device) Path() string { return d.tty.Name() }

// Close closes the pty; the control panel sees its line vanish.
func (d *Device) Close() error { return errors.Join(d.master.Close(), d.tty.Close()) }

// Tap holds a card to the reader.
func (d *Device) Tap(uid []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cards = append(d.cards, append([]byte(nil), uid...))
	d.unbeeped = append(d.unbeeped, time.Now())
}

// Break makes the device misbehave for the next times answers; a negative count is for ever.
func (d *Device) Break(f Fault, times int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault, d.times, d.restarts = f, times, f == FaultRestart
}

// Run answers the control panel until ctx ends.
func (d *Device) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { d.master.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var in []byte
	b := make([]byte, 512)
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := d.master.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			return fmt.Errorf("bound a read of the pseudo-terminal: %w", err)
		}
		n, err := d.master.Read(b)
		in = append(in, b[:n]...)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.EIO):
			// Nobody speaks. A control panel that was killed has left its exclusive hold behind: let the next one in.
			if err := unix.IoctlSetInt(int(d.tty.Fd()), unix.TIOCNXCL, 0); err != nil {
				return fmt.Errorf("free the pseudo-terminal: %w", err)
			}
			continue
		case err != nil && ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !errors.Is(err, io.EOF):
			return fmt.Errorf("read the pseudo-terminal: %w", err)
		}
		for {
			p, rest, bad := take(in)
			in = rest
			if bad != nil {
				d.event(Event{Kind: "malformed"})
				continue
			}
			if p == nil {
				break
			}
			if p.addr == d.o.Address || p.addr == 0x7F {
				if err := d.answer(ctx, p); err != nil {
					return err
				}
			}
		}
	}
}

func (d *Device) event(e Event) {
	if d.o.OnEvent == nil {
		return
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	d.o.OnEvent(e)
}
