package reader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.bug.st/serial"
)

// OpenSerial opens a serial port (or a pty) for OSDP: 8 data bits, no parity, one stop bit.
func OpenSerial(path string, baud int) (io.ReadWriteCloser, error) {
	p, err := serial.Open(path, &serial.Mode{BaudRate: baud, DataBits: 8, Parity: serial.NoParity, StopBits: serial.OneStopBit})
	if err != nil {
		return nil, fmt.Errorf("open serial port %s: %w", path, err)
	}
	return port{p}, nil
}

type port struct{ serial.Port }

// Close throws away what was not sent, because a write that waits for a dead line would never return.
func (p port) Close() error {
	return errors.Join(p.Port.ResetOutputBuffer(), p.Port.Close())
}

// errWriteTimeout says that the line did not take our bytes in time.
var errWriteTimeout = errors.New("the line does not take bytes")

// serialLine runs the blocking reads and writes of one open serial line in goroutines of their own, so that each
// wait of the bus has an end.
type serialLine struct {
	rwc  io.ReadWriteCloser
	in   chan []byte
	fail chan error // the first error of reading or writing; buffered for both
	out  chan []byte
	done chan error // result of each write
	stop chan struct{}
}

func openSerialLine(rwc io.ReadWriteCloser) *serialLine {
	l := &serialLine{rwc: rwc, in: make(chan []byte, 16), fail: make(chan error, 2), out: make(chan []byte), done: make(chan error, 1), stop: make(chan struct{})}
	go l.read()
	go l.write()
	return l
}

func (l *serialLine) read() {
	for {
		b := make([]byte, 512)
		n, err := l.rwc.Read(b)
		if n > 0 {
			select {
			case l.in <- b[:n]:
			case <-l.stop:
				return
			}
		}
		if err == nil && n == 0 {
			err = io.EOF // a serial port that was unplugged reads nothing, at once, for ever
		}
		if err != nil {
			l.fail <- fmt.Errorf("read the line: %w", err)
			return
		}
	}
}

func (l *serialLine) write() {
	for {
		select {
		case b := <-l.out:
			_, err := l.rwc.Write(b)
			l.done <- err
		case <-l.stop:
			return
		}
	}
}

// send writes b within the time; after a failure the line is of no further use.
func (l *serialLine) send(ctx context.Context, b []byte, within time.Duration) error {
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case l.out <- b:
	case <-t.C:
		return errWriteTimeout
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-l.done:
		if err != nil {
			return fmt.Errorf("write the line: %w", err)
		}
		return nil
	case <-t.C:
		return errWriteTimeout
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *serialLine) close() error {
	close(l.stop)
	if err := l.rwc.Close(); err != nil {
		return fmt.Errorf("close the line: %w", err)
	}
	return nil
}
