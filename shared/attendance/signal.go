package attendance

import "time"

// Signal is what the reader shows to the person who held a card to it. The readers and the panel show it,
// each by its own means, from the same [Pattern].
type Signal uint8

// The signals. OK is given only when the tap is stored; a repeat of a stored tap gives OK too.
const (
	SignalNone    Signal = iota // dark and silent
	SignalOK                    // stored: green, one short beep
	SignalWait                  // not stored yet, wait: amber, silent
	SignalFail                  // not stored: red, one long tone
	SignalUnknown               // a card that nobody has: red blinking, three short beeps
)

var signalNames = [...]string{"none", "ok", "wait", "fail", "unknown"}

func (s Signal) String() string {
	if int(s) < len(signalNames) {
		return signalNames[s]
	}
	return "signal"
}

// Colour of the light.
type Colour uint8

// The colours that a gate's light has.
const (
	Dark Colour = iota
	Red
	Green
	Amber
)

// Pattern is a signal as light and sound. All times are multiples of 100 ms, the unit of OSDP.
type Pattern struct {
	Colour             Colour
	LightOn, LightOff, // blinking; LightOff 0 is steady
	Light time.Duration // how long the light stays in all

	Beeps           int // 0: silent
	BeepOn, BeepOff time.Duration
}

// Pattern is what the signal looks and sounds like.
func (s Signal) Pattern() Pattern {
	const ms = time.Millisecond
	switch s {
	case SignalOK:
		return Pattern{Colour: Green, LightOn: 100 * ms, Light: 1000 * ms, Beeps: 1, BeepOn: 100 * ms}
	case SignalWait:
		return Pattern{Colour: Amber, LightOn: 100 * ms, Light: 6000 * ms}
	case SignalFail:
		return Pattern{Colour: Red, LightOn: 100 * ms, Light: 2000 * ms, Beeps: 1, BeepOn: 1500 * ms}
	case SignalUnknown:
		return Pattern{Colour: Red, LightOn: 200 * ms, LightOff: 200 * ms, Light: 1200 * ms, Beeps: 3, BeepOn: 100 * ms, BeepOff: 100 * ms}
	default:
		return Pattern{}
	}
}
