package readers

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
)

// callsView is how a network terminal reaches the appliance.
type callsView struct {
	HasCode bool
	Address string // with the access code, shown once; empty: it was shown
	Where   string // without it
}

// terminal says whether a reader is a network terminal.
func terminal(r site.Reader) bool {
	return r.Kind == site.ReaderIclock || r.Kind == site.ReaderHikvision
}

func (c *call) calls(id, token string) (*callsView, error) {
	hash, err := c.o.d.Site.ReaderToken(id)
	if err != nil {
		return nil, err
	}
	v := &callsView{HasCode: len(hash) > 0}
	host, _, err := net.SplitHostPort(c.R.Host)
	if err != nil {
		host = c.R.Host
	}
	for _, p := range c.o.d.Info.Ports {
		if p.Use == "terminals" {
			v.Where = "http://" + net.JoinHostPort(host, fmt.Sprint(p.Number)) + "/"
		}
	}
	if token != "" {
		v.Address = v.Where + token
	}
	return v, nil
}

// newToken gives a terminal that calls a new access code, and shows it once.
func (o *Pages) newToken(c *call) error {
	token, err := o.d.Site.NewReaderToken(c.R.Context(), c.Who(), c.R.PathValue("id"))
	if errors.Is(err, site.ErrNotFound) {
		return frame.ErrNotFound
	}
	if err != nil {
		return err
	}
	return o.showReaderWith(c, http.StatusOK, nil, nil, token)
}

// offText says how far a clock is off. It shows whole seconds, and a mark is under way for a while.
func (c *call) offText(off time.Duration) string {
	switch off = off.Round(time.Second); {
	case off.Abs() <= 2*time.Second:
		return c.P.T("reader.off.none")
	case off > 0:
		return c.P.T("reader.off.ahead", c.P.Words(off))
	default:
		return c.P.T("reader.off.behind", c.P.Words(-off))
	}
}
