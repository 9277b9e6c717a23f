package site

import (
	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/attendance"
	"campuskeep/shared/footage"
)

// The tables of this package. The log binds all rows but the sealed ones, whose keys may be erased
// (I2).
var (
	cameras       = ledgerdb.NewTable[footage.Camera]("cameras", ledgerdb.Replayable())
	readers       = ledgerdb.NewTable[Reader]("readers", ledgerdb.Replayable())
	places        = ledgerdb.NewTable[Place]("places", ledgerdb.Replayable())
	calendars     = ledgerdb.NewTable[attendance.Calendar]("calendar", ledgerdb.Replayable())
	settings      = ledgerdb.NewTable[Settings]("settings", ledgerdb.Replayable())
	readerDevices = ledgerdb.NewTable[readerDevice]("reader_devices", ledgerdb.Replayable())
	// What readers need to be reached; never in a page, an export or a log.
	readerSecrets = ledgerdb.NewTable[readerSecret]("reader_secrets", ledgerdb.Sealed(func(x readerSecret) string { return readerOwner(x.Reader) }))
	logins        = ledgerdb.NewTable[cameraLogin]("camera_logins", ledgerdb.Sealed(func(l cameraLogin) string { return cameraOwner(l.Camera) }))
)

// onlyKey is the key in tables of a single row.
const onlyKey = "school"

type cameraLogin struct {
	Camera string `json:"camera"`
	Login
}

// Owners of sealed parts: what is reported about a camera is sealed under the camera's key, about the rest of
// the site under one of its own. Neither is released to the centre.
func cameraOwner(id string) string { return "camera:" + id }

const siteOwner = "site:school"
