package web

import (
	"net/netip"
	"testing"
	"time"
)

// Covers F11: an address that asks without end is slowed down, others are not, and the table of addresses is
// bounded.
func TestLimiter(t *testing.T) {
	l := NewLimiter(1, 3)
	a, b := netip.MustParseAddr("10.20.3.18"), netip.MustParseAddr("10.20.3.19")
	for i, want := range []bool{true, true, true, false} {
		if got := l.Allow(a, 0); got != want {
			t.Errorf("request %d: %v", i, got)
		}
	}
	if !l.Allow(b, 0) || !l.Allow(a, time.Second) || l.Allow(a, time.Second) {
		t.Error("another address, or a second later, counts wrong")
	}
	for i := range 3 * maxBuckets {
		l.Allow(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), 2*time.Second)
	}
	if len(l.buckets) > maxBuckets {
		t.Errorf("%d buckets", len(l.buckets))
	}
}
