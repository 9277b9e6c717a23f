package web

import (
	"net/netip"
	"testing"
	"time"
)

// More addresses than are distinguished are counted together, so that nobody's memory grows.
func TestScansOfManyAddressesAreBounded(t *testing.T) {
	var s scanCounter
	a := netip.MustParseAddr("fd00::1")
	for range mostScanners + 500 {
		s.count(a, time.Hour)
		a = a.Next()
	}
	if len(s.from) > mostScanners+1 {
		t.Errorf("%d addresses are remembered", len(s.from))
	}
	if _, storm := s.count(a, time.Hour); !storm && s.from[netip.Addr{}] == nil {
		t.Error("the others are not counted")
	}
	s.count(a, 10*time.Hour)
	if len(s.from) > 2 {
		t.Errorf("%d quiet addresses are remembered", len(s.from))
	}
}
