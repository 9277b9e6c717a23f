package nvr

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"campuskeep/shared/footage"
)

// query is a search as it comes in.
type query struct {
	XMLName  xml.Name `xml:"CMSearchDescription"`
	Version  string   `xml:"version,attr"`
	ID       string   `xml:"searchID"`
	Long     []int    `xml:"trackIDList>trackID"`
	Short    []int    `xml:"trackList>trackID"`
	Meta     string   `xml:"metaId"`
	From     string   `xml:"timeSpanList>timeSpan>startTime"`
	To       string   `xml:"timeSpanList>timeSpan>endTime"`
	Max      int      `xml:"maxResults"`
	Position int      `xml:"searchResultPostion"`
	from, to time.Time
}

func (n *NVR) query(r *http.Request, h Habits, f Faults, local bool) (q query, refused string) {
	err := xml.NewDecoder(r.Body).Decode(&q)
	if err != nil {
		return q, refusal(5, "Invalid XML Format", "badXmlFormat")
	}
	if f.ShortForm && (len(q.Long) > 0 || q.Version == "" || !strings.HasPrefix(q.ID, "{")) || !f.ShortForm && len(q.Short) > 0 {
		return q, refusal(6, "Invalid XML Content", "badXmlContent")
	}
	from, err1 := time.Parse(zForm, q.From)
	to, err2 := time.Parse(zForm, q.To)
	if err1 != nil || err2 != nil || q.Max <= 0 || q.ID == "" {
		return q, refusal(6, "Invalid XML Content", "badParameters")
	}
	q.from, q.to = h.truth(from, local), h.truth(to, local)
	return q, ""
}

// page lays out the part of the items that was asked for.
func (n *NVR) page(q query, f Faults, items []string) string {
	total := len(items)
	if f.SamePage {
		q.Position = 0
	}
	items = items[min(max(0, q.Position-f.Overlap), total):]
	status := "OK"
	if size := min(q.Max, n.o.PageSize); len(items) > size {
		items, status = items[:size], "MORE"
	}
	if f.EverMore {
		status = "MORE"
	}
	if total == 0 {
		status = "NO MATCHES"
	}
	counted := len(items)
	if f.CutPages && len(items) > 1 {
		items = items[:len(items)/2]
		if status == "OK" {
			counted = total // so that the count is of everything
		}
	}
	return fmt.Sprintf(`%s<CMSearchResult %s><searchID>{%s}</searchID><responseStatus>true</responseStatus><responseStatusStrg>%s</responseStatusStrg><numOfMatches>%d</numOfMatches><matchList>%s</matchList></CMSearchResult>`,
		xml.Header, space, text(strings.Trim(q.ID, "{}")), status, counted, strings.Join(items, ""))
}

func (n *NVR) search(r *http.Request) string {
	h, f, channels, _ := n.look()
	q, refused := n.query(r, h, f, h.SearchLocal && !h.AskUTC)
	if refused != "" {
		return refused
	}
	if f.OddTrack != 0 && slices.Contains(append(q.Long, q.Short...), f.OddTrack) {
		return "<CMSearchResult><responseStatusStrg>PERHAPS</responseStatusStrg></CMSearchResult>"
	}
	var items []string
	for _, c := range channels {
		if !slices.Contains(append(q.Long, q.Short...), c.ID*100+1) {
			continue
		}
		for _, p := range c.Pieces {
			if !p.Overlaps(footage.Span{From: q.from, To: q.to}) {
				continue
			}
			lock, uri := "unlock", ""
			if c.Locked {
				lock = "lock"
			}
			if !h.NoPlayURI {
				form := "20060102T150405Z"
				uri = fmt.Sprintf("<playbackURI>rtsp://192.0.2.1/Streaming/tracks/%d01/?starttime=%s&amp;endtime=%s&amp;name=ch%02d_00000000016000000&amp;size=260358144</playbackURI>",
					c.ID, h.digits(p.From, h.PlayLocal).Format(form), h.digits(p.To, h.PlayLocal).Format(form), c.ID)
			}
			items = append(items, fmt.Sprintf(`<searchMatchItem><sourceID>{0000000000-0000-0000-0000-000000000000}</sourceID><trackID>%d01</trackID><timeSpan><startTime>%s</startTime><endTime>%s</endTime></timeSpan><mediaSegmentDescriptor><contentType>video</contentType><codecType>H.264-BP</codecType>%s<lockStatus>%s</lockStatus></mediaSegmentDescriptor></searchMatchItem>`,
				c.ID, h.search(p.From), h.search(p.To), uri, lock))
		}
	}
	return n.page(q, f, items)
}

func (n *NVR) searchLog(r *http.Request) string {
	h, f, _, _ := n.look()
	if f.LogMissing {
		return refusal(4, "Invalid Operation", "notSupport")
	}
	q, refused := n.query(r, h, f, h.LogLocal)
	if refused != "" {
		return refused
	}
	n.mu.Lock()
	lines := slices.Clone(n.log)
	n.mu.Unlock()
	slices.SortStableFunc(lines, func(a, b LogLine) int { return a.At.Compare(b.At) })
	var items []string
	for _, l := range lines {
		if l.At.Before(q.from) || !l.At.Before(q.to) {
			continue
		}
		channel := ""
		if l.Channel > 0 {
			channel = fmt.Sprintf("/%d", l.Channel)
		}
		items = append(items, fmt.Sprintf(`<searchMatchItem><logDescriptor><metaId>log.hikvision.com/%s%s</metaId><StartDateTime>%s</StartDateTime><paraType></paraType><userName>%s</userName><ipAddress>%s</ipAddress></logDescriptor></searchMatchItem>`,
			l.Code, channel, h.digits(l.At, h.LogLocal).Format(zForm), text(l.User), l.Address))
	}
	return n.page(q, f, items)
}
