package iclock

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

var shanghai = time.FixedZone("CST", 8*3600)

func TestAttLogLines(t *testing.T) {
	body := "1001\t2026-05-20 07:40:00\t0\t4\t0\t0\r\n\r\n 0007\t2026-05-20 07:40:01\t1\n" +
		"\t2026-05-20 07:40:00\t0\nx\t2026-05-20 07:40:00\n5\t2026-13-20 07:40:00\n5\t1971-01-01 00:00:00\n5\n0\t2026-05-20 07:40:00\n" + strings.Repeat("9", 300) + "\t2026-05-20 07:40:00\n8\t2026-05-20 07:40:00\t0\tabc\x00"
	lines, bad, err := parseAttLog([]byte(body), shanghai)
	if err != nil || bad != 7 || len(lines) != 3 {
		t.Fatalf("%+v, %d bad, %v", lines, bad, err)
	}
	if want := time.Date(2026, 5, 19, 23, 40, 0, 0, time.UTC); lines[0] != (attLine{1001, want, "4"}) || lines[1] != (attLine{7, want.Add(time.Second), ""}) || lines[2].Verify != "" {
		t.Errorf("%+v", lines)
	}
	if _, _, err := parseAttLog(bytes.Repeat([]byte("1\t2026-05-20 07:40:00\n"), maxLines+1), shanghai); !errors.Is(err, errLines) {
		t.Errorf("too many lines: %v", err)
	}
}

// No time zone is in the options, and the table of attendance alone is asked for.
func TestOptionsOfTerminals(t *testing.T) {
	now, old := options("CK1", "831", "2.4.1"), options("CK1", "", "")
	if !strings.HasPrefix(now, "GET OPTION FROM: CK1\r\n") || !strings.Contains(now, "\r\nATTLOGStamp=831\r\n") || strings.Contains(now, "TimeZone") || !strings.Contains(now, "TransFlag=TransData AttLog\r\n") {
		t.Errorf("%q", now)
	}
	if !strings.Contains(old, "ATTLOGStamp=0\r\n") || !strings.Contains(old, "TransFlag=1000000000\r\n") {
		t.Errorf("%q", old)
	}
}

// What is read is a user number and an instant; everything else is counted, and every line is either.
func FuzzAttLog(f *testing.F) {
	f.Add([]byte("1001\t2026-05-20 07:40:00\t0\t4\t0\t0\n"))
	f.Add([]byte("\t\n\x00\r\n5\t2026-02-30 00:00:00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		lines, bad, err := parseAttLog(body, shanghai)
		if err != nil {
			if lines != nil || bad != 0 || bytes.Count(body, []byte("\n")) < maxLines {
				t.Fatalf("refused with %d lines: %v", len(lines), err)
			}
			return
		}
		var n lineCounter
		n.Write(body)
		if len(lines)+bad != n.lines() {
			t.Fatalf("%d lines and %d bad of %d", len(lines), bad, n.lines())
		}
		for _, l := range lines {
			if l.User == 0 || l.Said.Year() < minYear-1 || len(l.key()) > 5 {
				t.Fatalf("%+v", l)
			}
		}
	})
}

// Parameters are read without panic, and the first of a name counts.
func FuzzQuery(f *testing.F) {
	f.Add("SN=CK1&table=ATTLOG&SN=CK2&x=%zz")
	f.Fuzz(func(t *testing.T, raw string) {
		q := query(raw)
		for k := range q {
			if stamp := stampOf(q[k]); stamp != "" && strings.Trim(stamp, "0123456789") != "" {
				t.Fatalf("stamp %q", stamp)
			}
			if v := vendorOf(q[k]); len(v) > maxVendor || strings.ContainsAny(v, "\r\n\x00") {
				t.Fatalf("vendor %q", v)
			}
		}
	})
}
