package camera

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// Cable is the connection to a camera. It passes everything, and on request lets the camera end its sessions as some
// do before they restart: by a TEARDOWN of its own between two packets.
type Cable struct {
	net *Net
	l   net.Listener
	to  string

	mu   sync.Mutex
	end  bool // at the next packet
	open map[net.Conn]struct{}
	wg   sync.WaitGroup
}

// NewCable leads to an address of a network, where nil is the machine's own.
func NewCable(n *Net, to string) (*Cable, error) {
	l, err := n.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("sim cable: %w", err)
	}
	w := &Cable{net: n, l: l, to: to, open: map[net.Conn]struct{}{}}
	w.wg.Go(w.run)
	return w, nil
}

// Address is the near end of the cable.
func (w *Cable) Address() string { return w.l.Addr().String() }

// TearDown ends the session of the next packet.
func (w *Cable) TearDown() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end = true
}

// Close cuts the cable.
func (w *Cable) Close() error {
	err := w.l.Close()
	w.mu.Lock()
	for c := range w.open {
		err = errors.Join(err, ignoreClosed(c.Close()))
	}
	w.mu.Unlock()
	w.wg.Wait()
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (w *Cable) run() {
	for {
		near, err := w.l.Accept()
		if err != nil {
			return
		}
		far, err := w.net.DialContext(context.Background(), "tcp", w.to)
		if err != nil {
			_ = near.Close() // as if nobody were there
			continue
		}
		w.mu.Lock()
		w.open[near], w.open[far] = struct{}{}, struct{}{}
		w.mu.Unlock()
		w.wg.Go(func() {
			_, _ = io.Copy(far, near) // the end of a connection is no error here
			_ = far.Close()
		})
		w.wg.Go(func() {
			_ = w.answers(near, far)
			_ = near.Close()
			_ = far.Close()
		})
	}
}

// answers passes what the camera sends, packet by packet.
func (w *Cable) answers(near io.Writer, far io.Reader) error {
	r := bufio.NewReader(far)
	for {
		b, err := r.ReadByte()
		if err != nil {
			return err
		}
		packet := []byte{b}
		if b == '$' {
			head := make([]byte, 3)
			if _, err := io.ReadFull(r, head); err != nil {
				return err
			}
			body := make([]byte, binary.BigEndian.Uint16(head[1:]))
			if _, err := io.ReadFull(r, body); err != nil {
				return err
			}
			packet = append(append(packet, head...), body...)
			w.mu.Lock()
			end := w.end
			w.end = false
			w.mu.Unlock()
			if end {
				_, err := io.WriteString(near, "TEARDOWN rtsp://camera/stream RTSP/1.0\r\nCSeq: 1\r\n\r\n")
				return err
			}
		}
		if _, err := near.Write(packet); err != nil {
			return err
		}
	}
}
