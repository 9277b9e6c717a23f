package nvr

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	space = `version="2.0" xmlns="http://www.isapi.org/ver20/XMLSchema"`
	realm = "DS-7732NI"
)

func (n *NVR) routes() http.Handler {
	mux := http.NewServeMux()
	get := func(path string, f func(*http.Request) string) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { n.serve(w, r, f) })
	}
	post := func(method, path string, f func(*http.Request) string) {
		mux.HandleFunc(method+" "+path, func(w http.ResponseWriter, r *http.Request) { n.serve(w, r, f) })
	}
	get("/ISAPI/System/deviceInfo", n.info)
	get("/ISAPI/System/time", n.time)
	get("/ISAPI/ContentMgmt/InputProxy/channels", n.list)
	get("/ISAPI/ContentMgmt/InputProxy/channels/status", n.status)
	get("/ISAPI/System/Video/inputs/channels", n.inputs)
	get("/ISAPI/Streaming/channels", n.streams)
	get("/ISAPI/ContentMgmt/record/tracks", n.tracks)
	get("/ISAPI/ContentMgmt/record/tracks/{id}", n.track)
	get("/ISAPI/Security/users", n.users)
	get("/ISAPI/Security/adminAccesses", n.accesses)
	get("/ISAPI/System/Network/ssh", n.shell)
	get("/ISAPI/System/Network/EZVIZ", n.cloud)
	post("PUT", "/ISAPI/ContentMgmt/record/tracks/{id}", n.setTrack)
	post("POST", "/ISAPI/ContentMgmt/search", n.search)
	post("POST", "/ISAPI/ContentMgmt/logSearch", n.searchLog)
	return mux
}

// serve checks the password, answers, and misbehaves.
func (n *NVR) serve(w http.ResponseWriter, r *http.Request, f func(*http.Request) string) {
	n.mu.Lock()
	n.counts.Requests++
	n.mu.Unlock()
	if !n.authorized(w, r) {
		return
	}
	n.mu.Lock()
	busy, half := n.faults.Busy503 > 0, n.faults.HalfAnswer > 0
	if busy {
		n.faults.Busy503--
	} else if half {
		n.faults.HalfAnswer--
	}
	garbage, instead := n.faults.Garbage[r.URL.Path]
	n.mu.Unlock()
	if busy {
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	}
	body := garbage
	if !instead {
		body = f(r)
	}
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if code := regexp.MustCompile(`<statusCode>([2-6])<`).FindStringSubmatch(body); code != nil {
		w.WriteHeader(map[string]int{"2": 503, "3": 500, "4": 403, "5": 400, "6": 400}[code[1]])
	}
	if half {
		body = body[:len(body)/2]
	}
	_, _ = io.WriteString(w, body) // a client that has gone is its own affair
	if half {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// authorized is the recorder's side of RFC 7616, with MD5 and qop=auth.
func (n *NVR) authorized(w http.ResponseWriter, r *http.Request) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := map[string]string{}
	for _, m := range regexp.MustCompile(`(\w+)=(?:"([^"]*)"|([^,\s]*))`).FindAllStringSubmatch(r.Header.Get("Authorization"), -1) {
		p[m[1]] = m[2] + m[3]
	}
	stale, shown := false, p["response"] != ""
	if shown && !n.locked {
		uses, known := n.nonces[p["nonce"]]
		old := !known || n.faults.NonceUses > 0 && uses >= n.faults.NonceUses
		right := p["username"] == n.o.User && p["uri"] == r.URL.RequestURI() &&
			p["response"] == hash(hash(n.o.User+":"+realm+":"+n.password)+":"+p["nonce"]+":"+p["nc"]+":"+p["cnonce"]+":auth:"+hash(r.Method+":"+p["uri"]))
		switch {
		case right && !old:
			if uses == 0 {
				host, _, _ := net.SplitHostPort(r.RemoteAddr) // always host and port
				n.log = append(n.log, LogLine{At: n.o.Now(), Code: "Operation/remoteLogin", User: n.o.User, Address: host})
			}
			n.nonces[p["nonce"]]++
			n.failed = 0
			return true
		case right && n.faults.Stale403:
			w.WriteHeader(http.StatusForbidden)
			return false
		case right:
			stale = !n.faults.SilentStale
		default:
			n.counts.Refused++
			n.failed++
			n.locked = n.faults.LockAfter > 0 && n.failed >= n.faults.LockAfter
		}
	} else if shown {
		n.counts.Refused++
	}
	nonce := strconv.FormatUint(rand.Uint64(), 16)
	n.nonces[nonce] = 0
	field := fmt.Sprintf(`Digest qop="auth", realm="%s", nonce="%s", stale="%s"`, realm, nonce, strings.ToUpper(strconv.FormatBool(stale)))
	if n.faults.BasicOnly {
		field = fmt.Sprintf(`Basic realm="%s"`, realm)
	}
	w.Header().Set("WWW-Authenticate", field)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusUnauthorized)
	lock := `<lockStatus>unlock</lockStatus><retryLoginTime>` + strconv.Itoa(max(0, n.faults.LockAfter-n.failed)) + `</retryLoginTime>`
	if n.locked {
		lock = `<lockStatus>lock</lockStatus><unlockTime>1800</unlockTime><retryLoginTime>0</retryLoginTime>`
	}
	_, _ = fmt.Fprintf(w, `%s<userCheck %s><statusValue>401</statusValue><statusString>Unauthorized</statusString>%s</userCheck>`, xml.Header, space, lock)
	return false
}

func hash(s string) string {
	d := md5.Sum([]byte(s))
	return hex.EncodeToString(d[:])
}

func text(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a builder never fails
	return b.String()
}

func refusal(code int, text, sub string) string {
	return fmt.Sprintf(`%s<ResponseStatus %s><requestURL></requestURL><statusCode>%d</statusCode><statusString>%s</statusString><subStatusCode>%s</subStatusCode></ResponseStatus>`,
		xml.Header, space, code, text, sub)
}

// look gives a consistent view for one answer.
func (n *NVR) look() (Habits, Faults, []Channel, time.Time) {
	now := n.o.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.habits, n.faults, slices.Clone(n.channels), now
}

func (n *NVR) info(*http.Request) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return fmt.Sprintf(`%s<DeviceInfo %s><deviceName>Network Video Recorder</deviceName><deviceID>48</deviceID><model>%s</model><serialNumber>%s</serialNumber><macAddress>f8:4d:fc:00:00:01</macAddress><firmwareVersion>%s</firmwareVersion><firmwareReleasedDate>build 220906</firmwareReleasedDate><deviceType>NVR</deviceType></DeviceInfo>`,
		xml.Header, space, text(n.o.Model), text(n.serial), n.firmware)
}

func (n *NVR) time(*http.Request) string {
	h, _, _, now := n.look()
	return fmt.Sprintf(`%s<Time %s><timeMode>manual</timeMode><localTime>%s</localTime><timeZone>%s</timeZone></Time>`, xml.Header, space, h.clock(now), h.Zone)
}

func (n *NVR) list(*http.Request) string {
	_, _, channels, _ := n.look()
	var b strings.Builder
	// the size is what one real model says wrongly
	fmt.Fprintf(&b, `%s<InputProxyChannelList size="%d" %s>`, xml.Header, len(channels)-1, space)
	for _, c := range channels {
		if c.Input {
			continue
		}
		fmt.Fprintf(&b, `<InputProxyChannel><id>%d</id><name>%s</name><sourceInputPortDescriptor><proxyProtocol>HIKVISION</proxyProtocol><addressingFormatType>ipaddress</addressingFormatType><ipAddress>192.168.1.%d</ipAddress><managePortNo>8000</managePortNo></sourceInputPortDescriptor></InputProxyChannel>`, c.ID, text(c.Name), 100+c.ID)
	}
	b.WriteString(`</InputProxyChannelList>`)
	return b.String()
}

func (n *NVR) inputs(*http.Request) string {
	_, _, channels, _ := n.look()
	var b strings.Builder
	for _, c := range channels {
		if c.Input {
			fmt.Fprintf(&b, `<VideoInputChannel><id>%d</id><inputPort>%d</inputPort><videoInputEnabled>true</videoInputEnabled><name>%s</name><videoFormat>PAL</videoFormat></VideoInputChannel>`, c.ID, c.ID, text(c.Name))
		}
	}
	if b.Len() == 0 {
		return refusal(4, "Invalid Operation", "notSupport")
	}
	return fmt.Sprintf(`%s<VideoInputChannelList %s>%s</VideoInputChannelList>`, xml.Header, space, b.String())
}

func (n *NVR) status(*http.Request) string {
	_, _, channels, _ := n.look()
	var b strings.Builder
	fmt.Fprintf(&b, `%s<InputProxyChannelStatusList %s>`, xml.Header, space)
	for _, c := range channels {
		fmt.Fprintf(&b, `<InputProxyChannelStatus><id>%d</id><online>%t</online></InputProxyChannelStatus>`, c.ID, c.Online)
	}
	b.WriteString(`</InputProxyChannelStatusList>`)
	return b.String()
}

func (n *NVR) streams(*http.Request) string {
	_, _, channels, _ := n.look()
	var b strings.Builder
	fmt.Fprintf(&b, `%s<StreamingChannelList %s>`, xml.Header, space)
	for _, c := range channels {
		fmt.Fprintf(&b, `<StreamingChannel><id>%d01</id><channelName>%s</channelName><enabled>true</enabled><Video><enabled>true</enabled><videoCodecType>H.264</videoCodecType><videoResolutionWidth>2560</videoResolutionWidth><videoResolutionHeight>1440</videoResolutionHeight><videoQualityControlType>VBR</videoQualityControlType><vbrUpperCap>4096</vbrUpperCap><maxFrameRate>2500</maxFrameRate><GovLength>50</GovLength></Video></StreamingChannel>`, c.ID, text(c.Name))
	}
	b.WriteString(`</StreamingChannelList>`)
	return b.String()
}

func trackText(c Channel) string {
	return fmt.Sprintf(`<Track %s><id>%d01</id><Channel>%d01</Channel><Enable>true</Enable><Description>trackType=standard,contentType=video,codecType=H.264-BP</Description><TrackGUID>{00000000-0000-0000-0000-000000000000}</TrackGUID><Size>1</Size><Duration min="0" max="750">P%dDT0H</Duration><DefaultRecordingMode>CMR</DefaultRecordingMode><SrcDescriptor><SrcGUID>{0}</SrcGUID><SrcChannel>%d</SrcChannel></SrcDescriptor><CustomExtensionList><CustomExtension><CustomExtensionName>www.hikvision.com/RaCM/trackExt/ver10</CustomExtensionName><enableSchedule>true</enableSchedule></CustomExtension></CustomExtensionList><durationEnabled>%t</durationEnabled></Track>`,
		space, c.ID, c.ID, c.Days, c.ID, c.Keep)
}

func (n *NVR) tracks(*http.Request) string {
	_, _, channels, _ := n.look()
	var b strings.Builder
	fmt.Fprintf(&b, `%s<TrackList %s>`, xml.Header, space)
	for _, c := range channels {
		b.WriteString(trackText(c))
	}
	b.WriteString(`</TrackList>`)
	return b.String()
}

func (n *NVR) users(*http.Request) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, `%s<UserList %s>`, xml.Header, space)
	for i, u := range n.logins() {
		fmt.Fprintf(&b, `<User><id>%d</id><userName>%s</userName><userLevel>%s</userLevel></User>`, i+1, text(u.Name), text(u.Level))
	}
	b.WriteString(`</UserList>`)
	return b.String()
}

// logins are the accounts, our own among them; the caller holds mu.
func (n *NVR) logins() []Account {
	if len(n.accounts) == 0 {
		return []Account{{n.o.User, "Administrator"}}
	}
	return n.accounts
}

func (n *NVR) accesses(*http.Request) string {
	_, web, _ := strings.Cut(strings.TrimPrefix(n.Address(), n.scheme+"://"), ":")
	_, media, _ := strings.Cut(n.RTSPAddress(), ":")
	var b strings.Builder
	fmt.Fprintf(&b, `%s<AdminAccessProtocolList %s>`, xml.Header, space)
	for i, p := range []struct{ name, port string }{{strings.ToUpper(n.scheme), web}, {"RTSP", media}, {"DEV_MANAGE", "8000"}} {
		fmt.Fprintf(&b, `<AdminAccessProtocol><id>%d</id><enabled>true</enabled><protocol>%s</protocol><portNo>%s</portNo></AdminAccessProtocol>`, i+1, p.name, p.port)
	}
	b.WriteString(`</AdminAccessProtocolList>`)
	return b.String()
}

func (n *NVR) shell(*http.Request) string {
	return fmt.Sprintf(`%s<SSH %s><enabled>false</enabled></SSH>`, xml.Header, space)
}

func (n *NVR) cloud(*http.Request) string {
	return fmt.Sprintf(`%s<EZVIZ %s><enabled>true</enabled><registerStatus>true</registerStatus></EZVIZ>`, xml.Header, space)
}

func (n *NVR) track(r *http.Request) string {
	_, _, channels, _ := n.look()
	for _, c := range channels {
		if r.PathValue("id") == fmt.Sprintf("%d01", c.ID) {
			return xml.Header + trackText(c)
		}
	}
	return refusal(4, "Invalid Operation", "notSupport")
}

func (n *NVR) setTrack(r *http.Request) string {
	var t struct {
		Duration string `xml:"Duration"`
		Keep     bool   `xml:"durationEnabled"`
		Schedule bool   `xml:"CustomExtensionList>CustomExtension>enableSchedule"`
	}
	var days int
	if err := xml.NewDecoder(r.Body).Decode(&t); err != nil || !t.Schedule { // anyone who sends half of it switches recording off
		return refusal(5, "Invalid XML Format", "badXmlFormat")
	}
	if _, err := fmt.Sscanf(t.Duration, "P%dDT0H", &days); err != nil {
		return refusal(6, "Invalid XML Content", "badParameters")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.channels {
		if c := &n.channels[i]; r.PathValue("id") == fmt.Sprintf("%d01", c.ID) {
			c.Days, c.Keep = days, t.Keep
			return refusal(1, "OK", "ok")
		}
	}
	return refusal(4, "Invalid Operation", "notSupport")
}
