package timekeeper

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"campuskeep/shared/clock"
)

// Trouble is why a source or a server is no witness just now; the catalogue has "clock.trouble.<code>".
type Trouble string

// The troubles.
const (
	TroubleSilent         Trouble = "silent"         // it has nothing to say, which may be right: a battery clock is read once
	TroubleTimeout        Trouble = "timeout"        // it does not answer
	TroubleUnreachable    Trouble = "unreachable"    // there is no way to it
	TroubleInvalid        Trouble = "invalid"        // its answer is none to our question, or nonsense
	TroubleUnsynchronised Trouble = "unsynchronised" // it says itself that it does not know the time
	TroubleFar            Trouble = "far"            // it knows the time too vaguely
	TroubleRefused        Trouble = "refused"        // it asks never to be asked again
	TroubleSeldom         Trouble = "seldom"         // it asks to be asked less often
	TroubleAlone          Trouble = "alone"          // the other servers say something else
	TroubleDisagree       Trouble = "disagree"       // its servers contradict one another
)

// Fault is the error of a source that can say what troubles it.
type Fault struct {
	Trouble Trouble
	Detail  string
}

func (f *Fault) Error() string { return string(f.Trouble) + ": " + f.Detail }

// trouble names an error of a source.
func trouble(err error) Trouble {
	f, ok := errors.AsType[*Fault](err)
	switch {
	case ok:
		return f.Trouble
	case errors.Is(err, ErrSilent):
		return TroubleSilent
	case errors.Is(err, context.DeadlineExceeded):
		return TroubleTimeout
	}
	return TroubleUnreachable
}

// Server is one of several behind a source.
type Server struct {
	Name        string
	Answered    bool
	Said        clock.Observation // when it answered
	Uncertainty time.Duration     // of it by now
	Trouble     Trouble           // empty: it is one of those that count
}

// SourceState is the state of one source.
type SourceState struct {
	Name    string
	Origin  clock.Origin
	Trouble Trouble // of the last question; empty when it answered
	// Witness is what it said last, and whether that agrees; nil when it has said nothing in this boot.
	Witness *clock.Witness
	Servers []Server
}

// sourceStates joins those that are asked with those that pushed.
func sourceStates(sources []Source, silent map[string]Trouble, witnesses []clock.Witness) []SourceState {
	var out []SourceState
	for _, s := range sources {
		x := SourceState{Name: s.Name(), Origin: s.Origin(), Trouble: silent[s.Name()]}
		if many, ok := s.(interface{ Servers() []Server }); ok {
			x.Servers = many.Servers()
		}
		out = append(out, x)
	}
	for _, w := range witnesses {
		i := slices.IndexFunc(out, func(x SourceState) bool { return x.Name == w.Source })
		if i < 0 {
			i = len(out)
			out = append(out, SourceState{Name: w.Source, Origin: w.Origin})
		}
		out[i].Witness = &w
		if out[i].Trouble == TroubleSilent {
			out[i].Trouble = "" // it rests between two questions
		}
	}
	slices.SortFunc(out, func(a, b SourceState) int {
		return cmp.Or(strings.Compare(string(a.Origin), string(b.Origin)), strings.Compare(a.Name, b.Name))
	})
	return out
}
