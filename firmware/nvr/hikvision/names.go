package hikvision

import (
	"fmt"
	"strconv"
	"strings"

	"campuskeep/firmware/nvr/driver"
	"campuskeep/shared/footage"
)

// Kind is what the supervisor knows of these NVRs without asking one.
var Kind = driver.Kind{Open: Open, Track: mainTrack, Stream: streamID, LiveURL: liveURL}

// streamID numbers the n-th stream of a channel: 101 is the main stream of channel 1, 102 its smaller one.
func streamID(channel, n int) int { return channel*100 + n }

// mainTrack names the recording track of a channel's main stream, which has the number of the stream.
func mainTrack(channel int) driver.TrackID { return trackID(streamID(channel, 1)) }

func trackID(n int) driver.TrackID { return driver.TrackID(strconv.Itoa(n)) }

// liveURL gives the address of the n-th stream of a channel.
func liveURL(t driver.Target, channel, n int) string {
	return "rtsp://" + t.LiveHost() + "/Streaming/" + livePath(channel, n)
}

func livePath(channel, n int) string { return fmt.Sprintf("Channels/%d%02d", channel, n) }

// codecName gives the codec of a record in the words of the vault; empty: another one.
func codecName(s string) string {
	switch s = strings.ToUpper(s); {
	case strings.HasPrefix(s, "H.264"):
		return "h264"
	case strings.HasPrefix(s, "H.265"):
		return "h265"
	}
	return ""
}

// act names what a log line records; empty: nothing that opens footage.
func act(code string) driver.Act {
	major, minor, _ := strings.Cut(strings.ToLower(code), "/")
	switch {
	case containsAny(minor, "logout"):
		return ""
	case containsAny(minor, "illegallogin", "illlegalaccess", "illegalaccess", "loginfail", "loginlock") || major == "exception" && containsAny(minor, "login"):
		return driver.ActRefused
	case containsAny(minor, "login"):
		return driver.ActLogin
	case containsAny(minor, "playby", "playback", "remoteplay", "localplay"):
		return driver.ActPlayback
	case containsAny(minor, "download", "backup", "exportrec", "copyrec"):
		return driver.ActExport
	}
	return ""
}

// cause names what a log line explains of missing footage; empty: nothing.
func cause(code string) footage.Cause {
	code = strings.ToLower(code)
	switch {
	case containsAny(code, "videolost", "videoloss", "ipcdisconnect", "ipcmdisconnect", "ipchannelabnormal"):
		return footage.CauseCameraOff
	case containsAny(code, "poweroff", "poweron", "shutdown", "reboot", "startup"):
		return footage.CausePowerOff
	case containsAny(code, "hderror", "hdfull", "hdbadblock", "diskerror", "diskfull", "severehdfailure", "recexception", "recordexception"):
		return footage.CauseDisk
	case containsAny(code, "netbroken", "netdisconnect", "networkdisconn"):
		return footage.CauseNetwork
	}
	return ""
}

func containsAny(s string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}
