package fmp4

import (
	"math/bits"
	"time"
)

// Ticks counts a duration, which may be negative, in ticks of a scale.
func Ticks(d time.Duration, scale uint32) int64 {
	sec, rest := int64(d/time.Second), int64(d%time.Second)
	return sec*int64(scale) + rest*int64(scale)/int64(time.Second)
}

// FromTicks is the reverse. A count that no recording can reach is cut.
func FromTicks(t int64, scale uint32) time.Duration {
	if t < 0 {
		return -FromTicks(-max(t, -1<<62), scale)
	}
	hi, lo := bits.Mul64(uint64(t), uint64(time.Second))
	if hi >= uint64(scale) {
		return 1<<63 - 1
	}
	q, _ := bits.Div64(hi, lo, uint64(scale))
	return time.Duration(min(q, 1<<63-1))
}
