package packet

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"campuskeep/shared/footage"
)

// ManifestVersion is the version that is written.
const ManifestVersion = 1

// Manifest is what a package says about itself. Its SHA-256 is in the entry `extraction.packed`; every other member but
// the proof is in its list of files. Texts in it are for people, in Chinese.
type Manifest struct {
	Version     int       `json:"version"`
	Number      string    `json:"number"`     // of the package, as its documents print it
	Extraction  string    `json:"extraction"` // its id in the log
	School      string    `json:"school"`
	Log         string    `json:"log"`  // campuskeep/<appliance>, the name of the log
	Zone        int       `json:"zone"` // minutes east of UTC of the school's time
	Application string    `json:"application"`
	FormNumber  string    `json:"application_number"`
	Notice      string    `json:"notice_number"`
	Condition   string    `json:"condition,omitempty"` // of the approval
	UseUntil    string    `json:"use_until"`           // last day of use; then it is returned or destroyed
	Began       time.Time `json:"began"`
	Operator    Present   `json:"operator"`
	Supervisor  Present   `json:"supervisor"`

	Recipients []ManifestRecipient `json:"recipients"`
	Original   Original            `json:"original"`
	Clock      ApplianceClock      `json:"clock"`
	Cameras    []ManifestCamera    `json:"cameras"`
	Spans      []ManifestSpan      `json:"spans"`
	Videos     []ManifestVideo     `json:"videos"`
	Files      []ManifestFile      `json:"files"`
}

// Present is one of the two persons who extracted, with when they authenticated.
type Present struct {
	ID   string    `json:"id"`
	Name string    `json:"name"`
	Unit string    `json:"unit,omitempty"`
	Role string    `json:"role"`
	At   time.Time `json:"at"`
}

// ManifestRecipient is somebody for whom the package is.
type ManifestRecipient struct {
	Name     string `json:"name"`
	Unit     string `json:"unit,omitempty"`
	Document string `json:"document,omitempty"`
}

// Original says why the medium itself is not handed over, and where it stays.
type Original struct {
	Why   string `json:"why"`
	Where string `json:"where"`
}

// ApplianceClock is the state of the appliance's clock, the reference of all others, when the extraction began.
type ApplianceClock struct {
	State       string        `json:"state"`
	Uncertainty time.Duration `json:"uncertainty_ns"`
}

// ManifestCamera is a camera, with its own clock against the appliance's.
type ManifestCamera struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Place     string        `json:"place"`
	Kept      string        `json:"kept"` // who kept the footage: footage.Custody
	Recording []ClockOffset `json:"clock_at_recording,omitempty"`
	Now       *ClockOffset  `json:"clock_at_extraction,omitempty"`
}

// ClockOffset is how far a device's clock was ahead of ours. Unknown is left out, never zero.
type ClockOffset struct {
	At          time.Time     `json:"at"`
	Ahead       time.Duration `json:"ahead_ns"`
	Uncertainty time.Duration `json:"uncertainty_ns"`
	Entry       uint64        `json:"entry,omitempty"` // that says so
}

// ManifestSpan is one approved camera and span, and what of it could not be delivered.
type ManifestSpan struct {
	Camera string        `json:"camera"`
	Span   footage.Span  `json:"span"`
	Gaps   []ManifestGap `json:"gaps,omitempty"`
	Joins  []time.Time   `json:"joins,omitempty"` // where one session of the recorder ends and the next begins
}

// ManifestGap is a part of a span without footage.
type ManifestGap struct {
	Span  footage.Span `json:"span"`
	Cause string       `json:"cause"` // footage.Cause, or "unknown"
}

// ManifestVideo is one exported video: a run of one session with one set of parameters.
type ManifestVideo struct {
	Path        string        `json:"path"`
	Pieces      string        `json:"pieces"` // path of its Pieces
	Camera      string        `json:"camera"`
	Span        footage.Span  `json:"span"`              // what is in it
	Lead        time.Duration `json:"lead_ns,omitempty"` // of it before the approved span, without which its first picture cannot be decoded
	Uncertainty time.Duration `json:"uncertainty_ns"`    // of these instants
	Boot        string        `json:"boot"`
	Session     string        `json:"session"`
	Codec       string        `json:"codec"`
	Pictures    int           `json:"pictures"`
	Segments    int           `json:"segments"`
	Bound       int           `json:"bound"`               // of them, that an entry bound when they were recorded
	Recovered   bool          `json:"recovered,omitempty"` // a part of it was saved after a power cut
}

// ManifestFile is a member with its hashes, in hex.
type ManifestFile struct {
	Path   string `json:"path"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	SM3    string `json:"sm3"`
}

// maxManifest is the longest manifest that is read, maxPiecesFile the longest list of pieces.
const (
	maxManifest   = 16 << 20
	maxPiecesFile = 64 << 20
)

// Write gives the one form of a manifest.
func (m Manifest) Write() ([]byte, error) {
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, fmt.Errorf("write the manifest: %w", err)
	}
	return append(b, '\n'), nil
}

// ReadManifest reads a manifest and checks what it says against itself.
func ReadManifest(b []byte) (m Manifest, err error) {
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("packet: the manifest cannot be read: %w", err)
	}
	if m.Version != ManifestVersion {
		return m, fmt.Errorf("packet: manifest of version %d, this program reads %d", m.Version, ManifestVersion)
	}
	file := func(path string) bool {
		return slices.ContainsFunc(m.Files, func(f ManifestFile) bool { return f.Path == path })
	}
	for _, v := range m.Videos {
		if !file(v.Path) || !file(v.Pieces) || v.Path == v.Pieces || !v.Span.From.Before(v.Span.To) {
			return m, fmt.Errorf("packet: the manifest lists no file %q", v.Path)
		}
	}
	return m, nil
}

// Of is the approved span that a video belongs to.
func (m Manifest) Of(v ManifestVideo) (ManifestSpan, bool) {
	for _, s := range m.Spans {
		if s.Camera == v.Camera && s.Span.Overlaps(v.Span) && !v.Span.From.Add(v.Lead).Before(s.Span.From.Add(-slack)) && !v.Span.To.After(s.Span.To.Add(slack)) {
			return s, true
		}
	}
	return ManifestSpan{}, false
}

// slack is how far a fragment that overlaps an approved span may reach beyond it: fragments are not cut.
const slack = 5 * time.Second
