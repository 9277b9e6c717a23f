package recorder

import (
	"bufio"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	readBuffer = 64 << 10
	// The kernel may gather at most this much before it wakes us, and not more than comes in gatherTime: waking for
	// every packet costs more than half of all the work of recording.
	maxGather  = 32 << 10
	gatherTime = 250 * time.Millisecond
	// A stream slower than this, in bytes a second, wakes us seldom enough.
	slowStream = 48 << 10
)

// socketReader reads from the socket in large pieces for the RTSP client and sets how often the process wakes.
type socketReader struct {
	mu     sync.Mutex
	raw    syscall.RawConn // nil before the connection and where the socket cannot be reached
	set    int             // what SO_RCVLOWAT is
	before int64           // bytes at the last adapt
	bytes  atomic.Int64
}

type tappedConn struct {
	net.Conn
	r *bufio.Reader
	t *socketReader
}

func (c *tappedConn) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.t.bytes.Add(int64(n))
	return n, err
}

func (t *socketReader) attach(c net.Conn) net.Conn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s, ok := c.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil { // without it we only wake more often
			t.raw, t.set = raw, 1
		}
	}
	return &tappedConn{Conn: c, r: bufio.NewReaderSize(c, readBuffer), t: t}
}

// adapt is called every second: it sets the mark to what comes in gatherTime, or to nothing while somebody watches
// live or nothing comes.
func (t *socketReader) adapt(live bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.raw == nil {
		return
	}
	now := t.bytes.Load()
	perSecond := now - t.before
	t.before = now
	mark := 1
	if !live && perSecond >= slowStream {
		mark = int(min(perSecond*int64(gatherTime/time.Millisecond)/1000, maxGather))
	}
	if near := t.set; mark > 1 && near > 1 && mark > near*3/4 && mark < near*5/4 {
		return
	}
	var setErr error
	err := t.raw.Control(func(fd uintptr) {
		setErr = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, mark)
	})
	if err == nil && setErr == nil {
		t.set = mark
	}
}
