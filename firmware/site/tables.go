package site

import (
	"campuskeep/firmware/store"
	"campuskeep/shared/attendance"
	"campuskeep/shared/footage"
)

// The tables of this room. The log binds all rows but the sealed ones, whose keys may be erased (I2).
var (
	cameras   = store.NewTable[footage.Camera]("cameras", store.Replayable())
	readers   = store.NewTable[Reader]("readers", store.Replayable())
	places    = store.NewTable[Place]("places", store.Replayable())
	calendars = store.NewTable[attendance.Calendar]("calendar", store.Replayable())
	settings  = store.NewTable[Settings]("settings", store.Replayable())
	logins    = store.NewTable[cameraLogin]("camera_logins", store.Sealed(func(l cameraLogin) string { return cameraOwner(l.Camera) }))
)

// theOne is the key in tables of a single row.
const theOne = "school"

type cameraLogin struct {
	Camera string `json:"camera"`
	Login
}

// Owners of sealed parts: what is told about a camera is sealed under the camera's key, about the rest of the
// site under one of its own. Neither is released to the centre.
func cameraOwner(id string) string { return "camera:" + id }

const siteOwner = "site:school"
