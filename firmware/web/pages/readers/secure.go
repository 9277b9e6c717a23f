package readers

import (
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// secureView is the secure channel of an OSDP reader.
type secureView struct {
	On         bool   // the reader is talked to inside it alone
	Placed     bool   // the reader is known to hold its key
	Active     bool   // the channel is open now
	Installing string // until when; empty: it is not being installed
	Form       ui.Form
}

func (c *call) secure(r site.Reader, active bool, errs fielderr.Errors) (*secureView, error) {
	v := &secureView{On: r.Secure, Active: active, Form: ui.Form{Name: "reader", P: c.P, Errors: errs}}
	_, placed, err := c.o.d.Site.ReaderKey(r.ID)
	if err != nil {
		return nil, err
	}
	v.Placed = placed
	if until, ok := c.o.d.Readers.Installing(r.ID); ok {
		v.Installing = c.P.Clock(until.Add(time.Minute - 1))
	}
	return v, nil
}

// install opens the time in which the reader may be given a new key: an act of a person, with an end.
func (o *Pages) install(c *call) error {
	return o.afterKey(c, o.d.Readers.Install(c.R.Context(), c.Who(), c.R.PathValue("id")))
}

func (o *Pages) endInstall(c *call) error {
	return o.afterKey(c, o.d.Readers.EndInstall(c.R.Context(), c.Who(), c.R.PathValue("id")))
}

// typeKey takes the key that the reader has had from its maker, or from another panel.
func (o *Pages) typeKey(c *call) error {
	text := strings.NewReplacer(" ", "", ":", "", "-", "").Replace(c.R.PostForm.Get("scbk"))
	key, err := hex.DecodeString(text)
	if err != nil || len(key) == 0 {
		key = []byte{} // of no length: refused there
	}
	return o.afterKey(c, o.d.Site.SetReaderKey(c.R.Context(), c.Who(), c.R.PathValue("id"), key))
}

// clearText takes the reader out of the channel: cards then travel in clear.
func (o *Pages) clearText(c *call) error {
	r, ok := o.d.Site.Reader(c.R.PathValue("id"))
	if !ok {
		return frame.ErrNotFound
	}
	r.Secure = false
	return o.afterKey(c, o.d.Site.PutReaderFrom(c.R.Context(), c.Who(), site.ReaderPut{Reader: r, Rev: frame.FormRev(c.R.PostForm)}))
}

// accept is a person's word that the device in the reader's place belongs there.
func (o *Pages) accept(c *call) error {
	return o.afterKey(c, o.d.Site.AcceptReaderDevice(c.R.Context(), c.Who(), c.R.PathValue("id")))
}

func (o *Pages) afterKey(c *call, err error) error {
	var errs fielderr.Errors
	switch {
	case errors.As(err, &errs):
		return o.showReader(c, http.StatusUnprocessableEntity, nil, errs)
	case errors.Is(err, site.ErrNotFound):
		return frame.ErrNotFound
	case err != nil:
		return err
	}
	return c.Done("/readers/"+c.R.PathValue("id"), "done.reader")
}
