package login

import "time"

// StormRule says when many refusals within a short time are a storm: at least Most within Window. A storm is
// reported once in Again, however long it lasts (F11).
type StormRule struct {
	Most   int
	Window time.Duration
	Again  time.Duration
}

// Refusals of log-ins from all addresses together, and of addresses that ask for what does not exist or is not theirs.
var (
	LoginStorm = StormRule{Most: 50, Window: 10 * time.Minute, Again: time.Hour}
	ScanStorm  = StormRule{Most: 150, Window: 10 * time.Minute, Again: time.Hour}
)

// Storm counts refusals by monotonic time within one boot. The zero value has seen none.
type Storm struct {
	begin    time.Duration // of the present window
	count    int
	reported time.Duration
	ever     bool // told counts
}

// Count notes one refusal at mono. told is the number in the window when this one makes a storm that must be reported
// now.
func (s *Storm) Count(r StormRule, mono time.Duration) (shown int, storm bool) {
	if mono-s.begin >= r.Window || mono < s.begin {
		s.begin, s.count = mono, 0
	}
	s.count++
	if s.count < r.Most || s.ever && mono-s.reported < r.Again {
		return 0, false
	}
	s.reported, s.ever = mono, true
	return s.count, true
}

// Quiet says whether the storm can be forgotten.
func (s *Storm) Quiet(r StormRule, mono time.Duration) bool {
	return mono-s.begin >= r.Window && (!s.ever || mono-s.reported >= r.Again)
}
