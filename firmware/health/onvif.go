package health

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// ONVIF devices tell their time to anybody (Core Specification, 8.3.2 GetSystemDateAndTime, access class PRE_AUTH), so
// that those who log in can make tokens that hold.
const askTime = `<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><GetSystemDateAndTime xmlns="http://www.onvif.org/ver10/device/wsdl"/></s:Body></s:Envelope>`

const maxTimeAnswer = 64 << 10

var errNoUTC = errors.New("the answer has no UTC time")

// cameraTime asks a camera for its clock; no password goes out. took is how long the answer was under way.
func cameraTime(ctx context.Context, client *http.Client, device *url.URL) (at time.Time, took time.Duration, err error) {
	u := url.URL{Scheme: device.Scheme, Host: device.Host, Path: "/onvif/device_service"}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader([]byte(askTime)))
	if err != nil {
		return at, 0, err
	}
	req.Header.Set("Content-Type", "application/soap+xml; charset=utf-8")
	begun := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return at, 0, err
	}
	took = time.Since(begun)
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTimeAnswer))
	if cerr := resp.Body.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return at, took, fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return at, took, fmt.Errorf("it answers %d", resp.StatusCode)
	}
	at, err = parseTime(body)
	return at, took, err
}

// parseTime reads a GetSystemDateAndTimeResponse. Only its UTC time counts: the local one needs a zone that cameras
// write in as many ways as there are.
func parseTime(body []byte) (time.Time, error) {
	var e struct {
		XMLName xml.Name `xml:"Envelope"`
		UTC     *struct {
			Hour   int `xml:"Time>Hour"`
			Minute int `xml:"Time>Minute"`
			Second int `xml:"Time>Second"`
			Year   int `xml:"Date>Year"`
			Month  int `xml:"Date>Month"`
			Day    int `xml:"Date>Day"`
		} `xml:"Body>GetSystemDateAndTimeResponse>SystemDateAndTime>UTCDateTime"`
	}
	if err := xml.Unmarshal(body, &e); err != nil {
		return time.Time{}, fmt.Errorf("read the answer: %w", err)
	}
	u := e.UTC
	if u == nil {
		return time.Time{}, errNoUTC
	}
	at := time.Date(u.Year, time.Month(u.Month), u.Day, u.Hour, u.Minute, u.Second, 0, time.UTC)
	// time.Date turns the 31st of February into March; a camera that says such a thing does not tell the time.
	if u.Year < 1970 || u.Year > 2200 || at.Month() != time.Month(u.Month) || at.Day() != u.Day || at.Hour() != u.Hour || at.Minute() != u.Minute || u.Second < 0 || u.Second > 60 {
		return time.Time{}, fmt.Errorf("the answer has no time: %+v", *u)
	}
	return at, nil
}
