package nvr

import (
	"time"

	"campuskeep/firmware/nvr/driver"
	"campuskeep/firmware/nvr/nvrtime"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/site"
	"campuskeep/shared/footage"
)

// The tables of this package. The register is bound by the log (I2); the rest is what the NVRs last reported.
var (
	devices     = ledgerdb.NewTable[Device]("nvrs", ledgerdb.Replayable())
	logins      = ledgerdb.NewTable[deviceLogin]("nvr_logins", ledgerdb.Sealed(func(l deviceLogin) string { return owner(l.NVR) }))
	states      = ledgerdb.NewTable[State]("nvr_states")
	reports     = ledgerdb.NewTable[Report]("nvr_reports") // by camera
	days        = ledgerdb.NewTable[dayRow]("nvr_days")    // by camera/day (UTC)/nvr.track
	fetches     = ledgerdb.NewTable[Fetch]("nvr_fetches")
	misassigned = ledgerdb.NewTable[misassignedRow]("nvr_aside") // by camera/fetch
	accessLists = ledgerdb.NewTable[AccessList]("nvr_doors", ledgerdb.Sealed(func(l AccessList) string { return owner(l.NVR) }))
)

type deviceLogin struct {
	NVR string `json:"nvr"`
	site.Login
}

// owner is the subject under whose key everything personal about an NVR is sealed: accounts, answers.
func owner(nvr string) string { return "nvr:" + nvr }

// State is what is known of an NVR as a whole.
type State struct {
	NVR         string              `json:"nvr"`
	Info        driver.Info         `json:"info"`
	Channels    []driver.Channel    `json:"channels,omitempty"`
	Calibration nvrtime.Calibration `json:"calibration"`
	Checked     time.Time           `json:"checked,omitzero"` // the last check that came through
	Tried       time.Time           `json:"tried,omitzero"`
	Fault       Fault               `json:"fault,omitempty"`   // of the last try; empty: none
	Since       time.Time           `json:"since,omitzero"`    // of the fault
	Refused     uint64              `json:"refused,omitempty"` // revision of the password that was refused: it is not tried again
	LogTo       time.Time           `json:"log_to,omitzero"`   // the NVR's log was read up to here
	NoLog       bool                `json:"no_log,omitempty"`
	Unseen      int                 `json:"unseen,omitempty"` // checks in a row that could not look at every camera
}

// Fault is why an NVR cannot be supervised, or what is wrong with it; the catalogue has "nvr.fault.<code>".
type Fault string

// The faults.
const (
	FaultNone         Fault = ""
	FaultOffline      Fault = "offline"      // cannot be reached, or breaks off
	FaultCredentials  Fault = "credentials"  // our password is refused; nothing more is tried
	FaultForbidden    Fault = "forbidden"    // the password is right, and its account may not do this
	FaultInClear      Fault = "in_clear"     // the password is taken only in clear, and not given
	FaultAnswer       Fault = "answer"       // an answer is not understood
	FaultBusy         Fault = "busy"         // no place for us, again and again
	FaultClock        Fault = "clock"        // its clock is off by more than a minute
	FaultZone         Fault = "zone"         // its clock is off by whole zones
	FaultUncalibrated Fault = "uncalibrated" // what its times mean is not certain: nothing is judged by them
	FaultNotOffered   Fault = "not_offered"  // of a work: it has no such function
	FaultOther        Fault = "other_device" // another machine answers than the one that was registered
)

// Report is what the last check showed of one camera.
type Report struct {
	Camera      string              `json:"camera"`
	NVR         string              `json:"nvr"`
	Channel     int                 `json:"channel"`
	Track       driver.TrackID      `json:"track"`
	Since       time.Time           `json:"since"` // the camera is known to have existed there since
	Attestation footage.Attestation `json:"attestation"`
	Expiry      Expiry              `json:"expiry"`
	Offset      time.Duration       `json:"offset"` // of the NVR's clock

	// Lost is what was held by a machine that was replaced or retired before its time, and entered as a breach then.
	// Again is when what answers now began to record; zero: nothing of it has been seen yet.
	Lost    footage.Span `json:"lost,omitzero"`
	Resumed time.Time    `json:"again,omitzero"`
}

// Expiry is how long the NVR itself keeps the track.
type Expiry struct {
	Keep  time.Duration `json:"keep"`            // 0: until overwritten
	On    bool          `json:"on"`              //
	Asked int           `json:"asked,omitempty"` // days that we set
	At    time.Time     `json:"at,omitzero"`     // when we set them
	Found string        `json:"found,omitempty"` // by later searches: "confirmed", "ignored"; empty: not yet
}

// dayRow is what an NVR listed of a camera for one day on one channel: pieces that begin in it. What of it still counts
// is for the register to say: see [Supervisor.listed].
type dayRow struct {
	NVR    string         `json:"nvr"`
	Swaps  int            `json:"swaps,omitempty"` // [Device.Swaps] of the machine that listed it
	Track  driver.TrackID `json:"track"`
	Codec  string         `json:"codec"`
	Unsure int64          `json:"unsure"` // ns
	Kbps   int            `json:"kbps,omitempty"`
	Pieces [][2]int64     `json:"pieces"` // Unix seconds
}

// Fetch is a span that is to be brought from an NVR into the vault.
type Fetch struct {
	ID     string         `json:"id"`
	NVR    string         `json:"nvr"`
	Camera string         `json:"camera"`
	Track  driver.TrackID `json:"track"`
	Span   footage.Span   `json:"span"`
	Ground string         `json:"ground"` // application id or another code
	State  FetchState     `json:"state"`
	Done   []footage.Span `json:"done,omitempty"` // in the vault
	// Empty is what the NVR has listed and gives no pictures of.
	Empty    []footage.Span `json:"empty,omitempty"`
	Bytes    int64          `json:"bytes"`
	Attempts int            `json:"attempts,omitempty"` // in a row that brought nothing
	Next     time.Time      `json:"next,omitzero"`      // not before
	Reason   string         `json:"reason,omitempty"`   // why it failed or waits
	Asked    time.Time      `json:"asked"`
	Ended    time.Time      `json:"ended,omitzero"`
}

// FetchState is how far a fetch is.
type FetchState string

// The states of a fetch.
const (
	FetchWaiting FetchState = "waiting"
	FetchDone    FetchState = "done"    // everything that the NVR lists is in the vault
	FetchPartial FetchState = "partial" // some of what it lists could not be had
	FetchFailed  FetchState = "failed"
)

// Ended says whether nothing more comes.
func (s FetchState) Ended() bool { return s != FetchWaiting }
