// Package reader is the control panel side of OSDP 2.2 card readers on a serial line: it polls them, takes
// their card reads, and drives their light and buzzer.
//
// A [Bus] owns one line, the goroutines that read and write it, and the sequence numbers of its readers. It
// must never decide what a card means, never wait for anyone who receives a card read, and never let a
// malformed frame, a silent reader or a stuck line stop the other readers.
//
// A reader that is set to the secure channel of OSDP 2.2 is talked to inside it alone: nothing that it sends in clear
// counts, and no reader gets a key but in the time that a person has opened for installing it.
//
// Limits, stated: card data as raw bits only (osdp_RAW), no biometrics, no file transfer. A reader that falls silent costs the others
// on its line one reply time-out (200 ms) per attempt to reach it again.
package reader

import (
	"context"
	"fmt"
	"time"

	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/fielderr"
)

// CardRead is one card that one reader saw.
type CardRead struct {
	Reader string        // id, "r01"
	Bits   int           // length of the number
	UID    []byte        // the number, first bit highest; (Bits+7)/8 bytes
	At     time.Duration // since boot, when its frame was whole
	Mark   *Mark         // of a network terminal, which tells of it afterwards; nil: it was read at At
}

// Card is the number as the rules know it.
func (c CardRead) Card() attendance.Card { return attendance.Card{Bits: c.Bits, Raw: c.UID} }

// Line is one way to one or more readers: an OSDP line, a Wiegand reader, network terminals.
type Line interface {
	// Run serves the readers until ctx ends.
	Run(ctx context.Context) error
	Statuses() []Status
	Counts(id string) (Counts, bool)
	// Feedback shows a signal at a reader. It returns at once; ErrNoReader says that the reader is not here.
	Feedback(id string, s attendance.Signal) error
}

// State says whether a reader can be used.
type State string

// The states of a reader.
const (
	Offline State = "offline" // does not answer, or its line is gone
	Online  State = "online"
	Refused State = "refused" // answers, but demands what we do not speak
)

// Why a reader is in its state; codes of the ledger and, behind "reader.", of the text catalogue.
const (
	ReasonStart    = "start"           // not reached yet since start
	ReasonAnswers  = "answers"         // online
	ReasonSilent   = "silent"          // no valid answer three times in a row
	ReasonBus      = "line"            // the serial line failed
	ReasonSecure   = "secure_required" // demands the OSDP secure channel, for which it is not set here
	ReasonNoKey    = "no_key"          // set to the secure channel, and there is no key for it
	ReasonKey      = "key_mismatch"    // does not hold the key: another reader, or one that was reset
	ReasonNoSecure = "secure_unsupported"
	ReasonChannel  = "secure_lost" // what comes is not signed by the reader
	ReasonProtocol = "protocol"    // answers, but refuses what every reader must do
	ReasonFormat   = "format"      // sends card numbers as text, which we do not take
	ReasonBusy     = "busy"        // says for longer than a moment that it is busy
	ReasonTamper   = "tamper"      // online, and reports that its case was opened
	ReasonStop     = "stop"        // we stopped

	// Of network terminals.
	ReasonClock    = "clock"          // its clock is more than a minute off
	ReasonUnproven = "clock_unproven" // no mark has shown yet that its clock is right
	ReasonNoToken  = "no_token"       // no access code was made for it
	ReasonToken    = "token"          // calls with another access code
	ReasonSerial   = "serial"         // another terminal answers at its address
	ReasonTooBig   = "too_big"        // sends more at once than is taken
	ReasonStore    = "store"          // its marks cannot be stored now; it keeps them
	ReasonAuth     = "auth"           // refused the log-in; it is not tried again until it is changed
	ReasonInClear  = "in_clear"       // asks for the password in clear, and does not get it
	ReasonBroken   = "answer"         // answers what is not understood
)

// Status is a reader's state with what is known of it.
type Status struct {
	Reader string
	State  State
	Reason string
	Since  time.Duration // since boot
	Vendor string        // OUI, version and serial number as the reader states them; "" before the first contact
	Device string        // the same as a code, without the firmware: what tells one device from another
	Secure bool          // inside the secure channel
}

// Counts are what happened at one reader since the start.
type Counts struct {
	Polls     uint64
	Reads     uint64 // card reads handed on
	Malformed uint64 // frames and card data that were not whole
	Timeouts  uint64
	NAKs      uint64
	Dropped   uint64 // signals that came while the reader was off line or its queue was full

	// Of network terminals.
	Repeats uint64 // marks that were known
	Old     uint64 // history of the terminal
	Ignored uint64 // lines of tables that are not taken: operation log, users, pictures
	Unsure  uint64 // marks by a clock that is not known to be right
	// Off is the terminal's clock less ours when it was last known; Measured says whether it was.
	Off      time.Duration
	Measured bool
}

// Device is one reader on a line.
type Device struct {
	ID      string // "r01"
	Address byte   // 0 to 126
	Secure  bool   // talked to inside the secure channel alone
	HasKey  bool
	Key     Key
	// Install is until when, since boot, the reader may be given Key by the default key of the standard; 0: never.
	Install time.Duration
}

// maxAddress is the last address of a single device; 0x7F is everybody.
const maxAddress = 0x7E

func checkDevices(devices []Device) error {
	var errs fielderr.Errors
	ids, addresses := map[string]bool{}, map[byte]bool{}
	if len(devices) == 0 {
		errs.Add("readers", "err.required")
	}
	for i, d := range devices {
		switch {
		case d.ID == "":
			errs.Add(fmt.Sprintf("readers.%d.id", i), "err.required")
		case ids[d.ID]:
			errs.Add(fmt.Sprintf("readers.%d.id", i), "err.duplicate", d.ID)
		case d.Address > maxAddress:
			errs.Add(fmt.Sprintf("readers.%d.address", i), "err.range", 0, maxAddress)
		case addresses[d.Address]:
			errs.Add(fmt.Sprintf("readers.%d.address", i), "err.duplicate", d.Address)
		}
		ids[d.ID], addresses[d.Address] = true, true
	}
	return errs.Err()
}
