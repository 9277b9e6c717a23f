package frame

import (
	"context"
	"time"

	"campuskeep/firmware/gate"
	"campuskeep/firmware/reader"
	"campuskeep/firmware/site"
	"campuskeep/firmware/timekeeper"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

// Info is what does not change while the program runs.
type Info struct {
	School    string
	Appliance string // ck-0417
	Version   string
	Root      []byte // certificate to install, DER; nil: none of our own
	Ports     []Port // the published list: where this machine answers the network
}

// Port is one port that is open to the network; the catalogue has "port.<use>".
type Port struct {
	Number   uint16
	Protocol string // tcp, udp
	Use      string
}

// Gate is attendance as it is. *gate.Gate is one.
type Gate interface {
	Board(date string) (gate.Board, error)
	Roll(class, date string) ([]attendance.DayStatus, error)
	Days(date string, students []string) (map[string]attendance.DayStatus, error)
	PutMark(ctx context.Context, by account.Who, role account.Role, m attendance.Mark, class, reason string) (attendance.DayStatus, error)
	Subscribe() (<-chan gate.Event, func())
}

// ReaderService is what serves the card readers. The appliance is one.
type ReaderService interface {
	Ports() []ReaderPort
	Serves(site.ReaderKind) bool
	Status(id string) (ReaderStatus, bool)
	// Install gives a reader a new key and opens the time in which it may be put into it.
	Install(ctx context.Context, by account.Who, id string) error
	EndInstall(ctx context.Context, by account.Who, id string) error
	Installing(id string) (until time.Time, ok bool)
}

// ReaderPort is a serial port that a reader may be wired to.
type ReaderPort struct {
	Path       string
	Baud       int
	Configured bool // the configuration names it
	Present    bool // it is there now
}

// ReaderStatus is the state of a reader since When, with what is counted since its line was opened.
type ReaderStatus struct {
	reader.Status
	reader.Counts
	When time.Time
}

// Timekeeper explains the clock and takes what two people state. *timekeeper.Keeper is one.
type Timekeeper interface {
	Explain() timekeeper.Explanation
	Anchors() clock.Anchors
	Confirm(ctx context.Context, by account.Who, role account.Role, utc time.Time, independent func(a, b string) bool) (done bool, err error)
}

// Status gathers the states that the first page shows.
type Status interface {
	Retention() RetentionStatus
	Sync() Sync
	Cameras() map[string]CameraState // by camera id
}

// RetentionStatus is the state of retention.
type RetentionStatus struct {
	Swept        time.Time // last finished sweep
	NextDue      time.Time // next deletion; zero: none known
	Suspended    string    // catalogue key: why nothing is deleted now; empty: it runs
	Condemned    int       // files that ought to be gone and are still there
	KeysUnerased int       // keys that ought to be gone and are not, or left files behind
	Skipped      []string  // cameras that the last sweep could not look at
	Rotten       []string  // holds whose keys cannot be opened or written
	Watermark    map[string]time.Time

	Free, Total uint64 // bytes of the disk; Total 0: not known
	DailyBytes  int64  // written a day, of late
	Days        float64

	// The arithmetic of the disk (design §5, never early). Capacity is what footage may use: the size of the
	// disk less Reserve and less Other, what else lies on it. Capacity 0 with Total 0: the disk cannot be asked.
	Loads                          []footage.Load // cameras in our custody, by id
	Held, Capacity, Reserve, Other int64
	Used                           int64 // footage there now
	Forecast                       footage.Forecast
	Thinned                        []string // cameras that record their sub-stream to save room
	Stopped                        []string // cameras that do not record because the disk is full
	WhenFull                       string   // "stop" or "breach", the school's setting

	// What an erasure is worth: "erased" with the root key in a TPM, "best_effort" without.
	Assurance string
	RootPlace string    // "file" or "tpm"
	Rotated   time.Time // of the root key; zero: never
}

// Sync is the state of the link to the centre.
type Sync struct {
	Centre    string // its name; empty: not enrolled
	Connected bool
	Acked     uint64 // entries that the centre's database holds
	Since     time.Time
}

// CameraState is the state of the recording of one camera.
type CameraState struct {
	State string // online, offline, connecting, unusable
	Since time.Time
	Cause footage.Cause
	// Listed is up to when it is known what lies on the NVR that keeps the camera's footage: what came later has
	// not been asked for and is not missing. Zero: we record it ourselves, or nothing is known yet.
	Listed time.Time
	Offers string // the sound that it offers; empty: none, or not known
	Sound  bool   // …and it is recorded
	// ByArrival: the camera's clock is no measure of time, so its pictures are timed by when they come.
	ByArrival bool
}
