package nvr

import (
	"testing"

	"campuskeep/shared/footage"
)

// Cameras that are recorded through an NVR go along when it is reached otherwise, and others stay. Covers F1.
func TestAddressesThroughAnNVR(t *testing.T) {
	old := Device{Address: "http://10.0.0.1"}
	for name, x := range map[string]struct {
		to         Device
		from, want string
	}{
		"usual port":      {Device{Address: "http://10.0.0.2"}, "rtsp://10.0.0.1:554/Streaming/Channels/101", "rtsp://10.0.0.2:554/Streaming/Channels/101"},
		"port not named":  {Device{Address: "http://10.0.0.2"}, "rtsp://10.0.0.1/Streaming/Channels/101", "rtsp://10.0.0.2:554/Streaming/Channels/101"},
		"another port":    {Device{Address: "http://10.0.0.1", RTSP: "10.0.0.1:1554"}, "rtsp://10.0.0.1:554/x", "rtsp://10.0.0.1:1554/x"},
		"a still":         {Device{Address: "https://10.0.0.2:8443"}, "http://10.0.0.1/picture", "http://10.0.0.2:8443/picture"},
		"its own address": {Device{Address: "http://10.0.0.2"}, "rtsp://10.0.0.11:554/main", ""},
		"none":            {Device{Address: "http://10.0.0.2"}, "", ""},
	} {
		if got := old.MoveAddress(x.from, x.to); got != x.want {
			t.Errorf("%s: %q, not %q", name, got, x.want)
		}
	}
	if !old.RecordsThrough(footage.Camera{Custody: footage.CustodyVault, Main: "rtsp://10.0.0.1:554/x"}) || old.RecordsThrough(footage.Camera{Custody: footage.CustodyNVR, Main: "rtsp://10.0.0.1:554/x"}) {
		t.Error("which cameras are recorded through it")
	}
}
