package terminalsim

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Event is one entry of the memory of a Hikvision terminal.
type Event struct {
	Serial       int64
	Major, Minor int
	At           time.Time // by the terminal's clock
	Card         string
	Employee     string
}

// Hikvision is a terminal that is asked for its events over ISAPI, by digest authentication.
type Hikvision struct {
	User, Password, Serial string
	Zone                   *time.Location
	Now                    func() time.Time // the true time

	// The misbehaviours.
	Off          time.Duration // the clock is wrong by so much
	Zulu         bool          // writes Z behind local time
	Short        int           // gives at most so many at once, and says MORE
	NoBegin      bool          // takes no notice of beginSerialNo
	OnlyMajor    bool          // 400 when all groups are asked for at once
	NonceOnce    bool          // a nonce is good for one request, and it does not say so
	Basic        bool          // asks for the password in clear
	Elsewhere    string        // sends the caller to another address
	Busy         int           // the next so many requests are answered 503
	Garbage      bool          // answers no JSON
	NoClock      bool          // has no address for its time
	UnknownEntry bool          // an entry without its number among the others

	mu       sync.Mutex
	events   []Event
	next     int64
	nonces   map[string]int
	searches map[string]bool
	// What was seen: requests, log-ins that were refused, addresses that change something.
	Requests, Refused, Foreign int
}

// Start serves it on a port of its own.
func (h *Hikvision) Start() (*httptest.Server, string) {
	h.nonces, h.searches = map[string]int{}, map[string]bool{}
	s := httptest.NewServer(http.HandlerFunc(h.serve))
	return s, strings.TrimPrefix(s.URL, "http://")
}

// Clock is the time by the terminal.
func (h *Hikvision) Clock() time.Time { return h.Now().Add(h.Off) }

// Add puts an event under the next number into the memory.
func (h *Hikvision) Add(major, minor int, card, employee string) Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next = max(h.next, 1)
	e := Event{Serial: h.next, Major: major, Minor: minor, At: h.Clock().Truncate(time.Second), Card: card, Employee: employee}
	h.next++
	h.events = append(h.events, e)
	return e
}

// Lose takes an event out of the memory, as a terminal does that restarts while it writes.
func (h *Hikvision) Lose(serial int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, e := range h.events {
		if e.Serial == serial {
			h.events = append(h.events[:i:i], h.events[i+1:]...)
			return
		}
	}
}

// Restart empties the memory and begins the numbers again.
func (h *Hikvision) Restart() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events, h.next = nil, 1
}

// Set changes a misbehaviour while it runs.
func (h *Hikvision) Set(how func(*Hikvision)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	how(h)
}

var field = regexp.MustCompile(`(\w+)=(?:"([^"]*)"|([^\s,]+))`)

func sum(s string) string { b := md5.Sum([]byte(s)); return hex.EncodeToString(b[:]) }

func (h *Hikvision) allowed(w http.ResponseWriter, r *http.Request) bool {
	if h.Basic {
		w.Header().Set("WWW-Authenticate", `Basic realm="terminal"`)
		w.WriteHeader(http.StatusUnauthorized)
		return false
	}
	auth := r.Header.Get("Authorization")
	p := map[string]string{}
	for _, m := range field.FindAllStringSubmatch(auth, -1) {
		p[m[1]] = m[2] + m[3]
	}
	uses, known := h.nonces[p["nonce"]]
	want := sum(sum(h.User+":DS-K1T:"+h.Password) + ":" + p["nonce"] + ":" + p["nc"] + ":" + p["cnonce"] + ":auth:" + sum(r.Method+":"+r.URL.RequestURI()))
	if known && p["username"] == h.User && p["response"] == want && p["uri"] == r.URL.RequestURI() && !(h.NonceOnce && uses > 0) {
		h.nonces[p["nonce"]]++
		return true
	}
	if auth != "" && !(known && h.NonceOnce && uses > 0) {
		h.Refused++
	}
	var b [8]byte
	rand.Read(b[:])
	nonce := hex.EncodeToString(b[:])
	h.nonces[nonce] = 0
	w.Header().Set("WWW-Authenticate", `Digest qop="auth", realm="DS-K1T", nonce="`+nonce+`", stale="FALSE"`)
	w.WriteHeader(http.StatusUnauthorized)
	return false
}

func (h *Hikvision) serve(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Requests++
	if h.Elsewhere != "" {
		http.Redirect(w, r, h.Elsewhere, http.StatusTemporaryRedirect)
		return
	}
	if !h.allowed(w, r) {
		return
	}
	if h.Busy > 0 {
		h.Busy--
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	}
	switch {
	case r.Method == "GET" && r.URL.Path == "/ISAPI/System/deviceInfo":
		fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><DeviceInfo version="2.0" xmlns="http://www.isapi.org/ver20/XMLSchema"><model>DS-K1T671</model><serialNumber>%s</serialNumber><firmwareVersion>V3.2.30</firmwareVersion></DeviceInfo>`, h.Serial)
	case r.Method == "GET" && r.URL.Path == "/ISAPI/System/time" && !h.NoClock:
		fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Time version="2.0" xmlns="http://www.isapi.org/ver20/XMLSchema"><timeMode>manual</timeMode><localTime>%s</localTime><timeZone>CST-8:00:00</timeZone></Time>`, h.text(h.Clock()))
	case r.Method == "POST" && r.URL.Path == "/ISAPI/AccessControl/AcsEvent":
		h.search(w, r)
	case r.Method == "GET":
		http.NotFound(w, r)
	default:
		h.Foreign++
		http.NotFound(w, r)
	}
}

func (h *Hikvision) text(at time.Time) string {
	at = at.In(h.Zone)
	if h.Zulu {
		return at.Format("2006-01-02T15:04:05") + "Z"
	}
	return at.Format(time.RFC3339)
}

func (h *Hikvision) search(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Cond struct {
			SearchID   string
			Position   int    `json:"searchResultPosition"`
			Max        int    `json:"maxResults"`
			Major      *int   `json:"major"`
			Minor      *int   `json:"minor"`
			Start, End string `json:"-"`
			From       string `json:"startTime"`
			To         string `json:"endTime"`
			Begin      int64  `json:"beginSerialNo"`
			Last       int64  `json:"endSerialNo"`
		} `json:"AcsEventCond"`
	}
	body, err := io.ReadAll(r.Body)
	c := &in.Cond
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	from, err1 := time.Parse(time.RFC3339, c.From)
	to, err2 := time.Parse(time.RFC3339, c.To)
	known := c.Position == 0 && h.searches[c.SearchID]
	if err != nil || err1 != nil || err2 != nil || c.Major == nil || c.Minor == nil || c.Max < 1 || c.Max > 30 || len(c.SearchID) != 36 || known || h.OnlyMajor && *c.Major == 0 {
		http.Error(w, `{"statusCode":6,"statusString":"Invalid Content"}`, http.StatusBadRequest)
		return
	}
	h.searches[c.SearchID] = true
	if h.Garbage {
		io.WriteString(w, "<html>error</html>")
		return
	}
	var found []Event
	for _, e := range h.events {
		at := e.At
		if *c.Major != 0 && e.Major != *c.Major || !h.NoBegin && (e.Serial < c.Begin || c.Last != 0 && e.Serial > c.Last) || at.Before(from) || at.After(to) {
			continue
		}
		found = append(found, e)
	}
	total := len(found)
	found = found[min(c.Position, total):]
	most := c.Max
	if h.Short > 0 {
		most = min(most, h.Short)
	}
	found = found[:min(most, len(found))]
	status := "OK"
	switch {
	case total == 0:
		status = "NO MATCH"
	case c.Position+len(found) < total:
		status = "MORE"
	}
	list := []map[string]any{}
	for _, e := range found {
		x := map[string]any{"major": e.Major, "minor": e.Minor, "time": h.text(e.At), "serialNo": e.Serial, "doorNo": 1, "cardReaderNo": 1, "currentVerifyMode": "cardOrFace"}
		if e.Card != "" {
			x["cardNo"] = e.Card
		}
		if e.Employee != "" {
			x["employeeNoString"] = e.Employee
		}
		if h.UnknownEntry && e.Serial%5 == 0 {
			delete(x, "serialNo")
		}
		list = append(list, x)
	}
	json.NewEncoder(w).Encode(map[string]any{"AcsEvent": map[string]any{"searchID": c.SearchID, "totalMatches": total, "responseStatusStrg": status, "numOfMatches": len(list), "InfoList": list}})
}
