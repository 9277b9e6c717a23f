// Package design holds what the program says of its own design: the version of the build, and the sentence of each
// numbered invariant. The documents beside it are what comments in the code refer to.
//
// It owns nothing and is pure. A sentence is here once: the document and `campuskeepd check` repeat it.
package design

import (
	_ "embed"
	"runtime/debug"
	"strings"
)

//go:embed VERSION
var version string

// Version gives the version of this build: that of the file VERSION, with the commit where the build knows it.
func Version() string {
	v := strings.TrimSpace(version)
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, s := range b.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return v + "+" + s.Value[:12]
		}
	}
	return v
}

// Invariant is a statement that holds at every moment, whatever failed before.
type Invariant struct {
	Number   string // as reports name it: I1
	Sentence string
	Checked  string // which command or which tests report a breach
}

// Invariants are all of them, by number. A number is never given to another sentence.
var Invariants = []Invariant{
	{"I1", "Every leaf hashes to the tree, every checkpoint verifies, and no sequence number is missing.", "campuskeepd check"},
	{"I2", "Every row of a replayable table is what the entries name, and every sealed part is what its entry binds, erased ones excepted.", "campuskeepd check"},
	{"I3", "Every live segment row and every row of an attached file has its file, whole and decryptable; every file has a row, is condemned, or is in quarantine.", "campuskeepd check (-full decrypts)"},
	{"I4", "No segment is past its ceiling outside a hold, and none was deleted before its floor without a breach entry.", "campuskeepd check"},
	{"I5", "Every access entry to recorded footage names an application or a duty role, and has its closing entry.", "campuskeepd check; that none is missing, tests"},
	{"I6", "No key of an erased camera-day or hold can be derived.", "campuskeepd check"},
	{"I7", "Nothing that was acknowledged is missing after a kill or a power cut.", "tests that kill processes and cut power"},
	{"I8", "The centre's leaves are the appliance's leaves up to the cursor, and nothing is acknowledged that is not stored, per incarnation of the centre.", "campuskeep-cloud check"},
	{"I9", "No message left without a valid approval of exactly its bytes.", "no messages yet"},
	{"I10", "No person read a record that the permission table refuses.", "tests of every route, and refused attempts in the log"},
}
