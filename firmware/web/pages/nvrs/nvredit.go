package nvrs

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/nvr"
	"campuskeep/firmware/nvr/driver"
	"campuskeep/firmware/site"
	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// nvrFormView is the form of a registered NVR: what it is, how it is reached, and whether the machine was replaced.
type nvrFormView struct {
	N        nvr.Overview
	Form     ui.Form
	Techs    []ui.Option
	Swap     []ui.Option
	Kept     []nvrKept
	Through  []string // cameras that are recorded through it: their addresses go along
	Refusal  *nvrRefusal
	Conflict bool
}

// nvrRefusal says in words what the device answered.
type nvrRefusal struct{ Title, Text, Detail, Other string }

// nvrKept is what goes with a machine, in words.
type nvrKept struct{ Camera, Span, Until string }

// What is stated about the machine behind an address.
const (
	swapNone  = "none"  // it is the same
	swapGone  = "gone"  // another one, and the footage went with the old one
	swapDisks = "disks" // another one with the old disks
)

func (o *Pages) editNVRPage(c *call) error {
	n, err := o.nvrOf(c)
	if err != nil {
		return err
	}
	if n.Retired {
		return frame.ErrNotFound
	}
	return o.showNVRForm(c, http.StatusOK, n, NVRValues(n), nil, nil)
}

// nvrOf is the NVR that a request is about.
func (o *Pages) nvrOf(c *call) (nvr.Overview, error) {
	n, err := o.d.NVRs.NVR(c.R.PathValue("id"))
	if err != nil {
		return n, fmt.Errorf("read NVR %s: %w", c.R.PathValue("id"), err)
	}
	return n, nil
}

// NVRValues are the values of the form of an NVR.
func NVRValues(n nvr.Overview) url.Values {
	return url.Values{"rev": {strconv.FormatUint(n.Rev, 10)}, "name": {n.Name}, "place": {n.Place}, "installer": {n.Installer}, "technician": {n.Technician},
		"installed": {n.Installed}, "address": {n.Address}, "rtsp": {n.RTSP}, "pin": {n.Pin}, "swap": {swapNone}}
}

func (o *Pages) showNVRForm(c *call, status int, n nvr.Overview, values url.Values, errs fielderr.Errors, why error) error {
	v := nvrFormView{N: n, Form: ui.Form{Name: "nvr_edit", P: c.P, Values: values, Errors: errs}, Kept: c.nvrKept(n), Conflict: errors.Is(why, ledgerdb.ErrConflict)}
	v.Refusal = c.nvrRefusal(why)
	v.Techs = o.technicians(n.Technician)
	for _, s := range []string{swapNone, swapGone, swapDisks} {
		k := "nvr_edit.swap." + s
		v.Swap = append(v.Swap, ui.Option{Value: s, Text: c.P.T(k), Hint: c.P.T(k + ".hint")})
	}
	for _, x := range n.Depend {
		if x.Recorded {
			v.Through = append(v.Through, o.CameraName(x.Camera))
		}
	}
	return c.PageStatus(status, "nvr_form", n.Name, v)
}

// technicians are whom a device may be given to; who has it already stays to be chosen.
func (o *Pages) technicians(present string) []ui.Option {
	out := []ui.Option{{Text: "–"}}
	for _, p := range o.d.People.People() {
		if !p.Disabled || p.ID == present {
			out = append(out, ui.Option{Value: p.ID, Text: p.Name + "（" + p.Unit + "）"})
		}
	}
	return out
}

// nvrRefusal says why an NVR was not changed: it does not answer as it has to, or is another machine; nil is neither.
func (c *call) nvrRefusal(why error) *nvrRefusal {
	if x, ok := errors.AsType[*nvr.OtherDevice](why); ok {
		out := &nvrRefusal{Title: c.P.K("nvr.fault.", nvr.FaultOther), Text: c.P.T("nvr_edit.known", machine(x.Found), c.o.NvrName(x.Known))}
		if x.Known == "" {
			out.Text, out.Other = c.P.T("nvr_edit.other", machine(x.Found), machine(x.Was)), c.P.T("nvr_edit.other.way")
		}
		return out
	}
	x, ok := errors.AsType[*nvr.Unanswered](why)
	if !ok {
		return nil
	}
	out := &nvrRefusal{Title: c.P.K("nvr.fault.", x.Fault), Text: c.P.K("nvr.fault.text.", x.Fault), Detail: x.Detail}
	if x.Fault == nvr.FaultCredentials {
		out.Text = c.P.T("nvr_new.lock")
	}
	return out
}

// machine names a machine by model and serial number.
func machine(i driver.Info) string { return strings.TrimSpace(i.Model + " " + i.Serial) }

func (c *call) nvrKept(n nvr.Overview) (out []nvrKept) {
	for _, k := range n.Kept {
		out = append(out, nvrKept{c.o.CameraName(k.Camera), c.P.Span(k.Span.From, k.Span.To), c.P.Day(k.Until)})
	}
	return out
}

// putNVR changes a registered NVR. Where it is reached is changed only when it answers there; the page waits for that.
func (o *Pages) putNVR(c *call) error {
	n, rev, err := o.nvrSeen(c)
	if err != nil {
		return err
	}
	f := c.R.PostForm
	text := func(k string) string { return strings.TrimSpace(f.Get(k)) }
	d := nvr.Device{Name: text("name"), Place: text("place"), Installer: text("installer"), Technician: f.Get("technician"), Installed: text("installed"),
		Address: strings.TrimRight(text("address"), "/"), RTSP: text("rtsp"), Pin: frame.PlainPin(text("pin"))}
	if d.Address != "" && !strings.Contains(d.Address, "://") {
		d.Address = "http://" + d.Address
	}
	e := nvr.Edit{Rev: rev, Device: d, Login: site.Login{User: text("user"), Password: f.Get("password")}}
	if swap := f.Get("swap"); swap == swapGone || swap == swapDisks {
		e.Swap = &nvr.Swap{Reason: text("reason"), Disks: swap == swapDisks}
	}
	var errs fielderr.Errors
	if d.Technician != n.Technician && d.Technician != "" {
		if p, ok := o.d.People.Person(d.Technician); !ok || p.Disabled {
			errs.Add("technician", "err.choice")
		}
	}
	if len(errs) > 0 {
		return o.showNVRForm(c, http.StatusUnprocessableEntity, n, f, errs, nil)
	}
	err = o.d.NVRs.Edit(c.R.Context(), c.Who(), n.ID, e)
	if status, errs := nvrStatus(err); status != 0 {
		return o.showNVRForm(c, status, n, f, errs, err)
	}
	switch {
	case err != nil:
		return err
	case e.Swap != nil || d.Address != n.Address || d.RTSP != n.RTSP || d.Pin != n.Pin || e.Login != site.Login{}:
		return o.beginAt(nvr.WorkCheck)(c)
	}
	return c.Done("/nvrs/"+n.ID, "done.nvr.changed")
}

// nvrStatus is how a page is shown again after a refusal that the person can do something about; 0: not so.
func nvrStatus(err error) (status int, errs fielderr.Errors) {
	if rows, ok := err.(site.RowErrors); ok {
		for _, i := range slices.Sorted(maps.Keys(rows)) {
			errs = append(errs, rows[i]...)
		}
		return http.StatusUnprocessableEntity, errs
	}
	if errors.As(err, &errs) {
		return http.StatusUnprocessableEntity, errs
	}
	if _, ok := errors.AsType[*nvr.Unanswered](err); ok {
		return http.StatusUnprocessableEntity, nil
	}
	if _, ok := errors.AsType[*nvr.OtherDevice](err); ok {
		return http.StatusUnprocessableEntity, nil
	}
	if errors.Is(err, ledgerdb.ErrConflict) {
		return http.StatusConflict, nil
	}
	return 0, nil
}

// nvrChanges reads from the log what was changed about an NVR, latest first.
func (o *Pages) nvrChanges(c *call, id string) (out []frame.RecordChange, _ error) {
	page, err := o.d.Ledger.Search(c.R.Context(), ledgerdb.Query{Kinds: []ledger.Kind{"config.change"}, About: []string{"nvr:" + id}, Limit: frame.MostChanges})
	if err != nil {
		return nil, fmt.Errorf("read the changes of an NVR: %w", err)
	}
	see := c.Can(account.ActLogProof, account.Subject{})
	for _, e := range page.Entries {
		x := frame.RecordChange{Seq: e.Seq, When: c.P.When(e.At, c.Now.Wall), Who: c.ActorName(e.Actor), What: c.o.NvrChange(c.Call, e), CanSee: see}
		parts, err := o.d.Ledger.Parts(e.Seq)
		if err != nil {
			return nil, fmt.Errorf("read the change of an NVR: %w", err)
		}
		x.Fields = c.o.NvrFields(c.Call, parts)
		out = append(out, x)
	}
	return out, nil
}

// nvrWiresView is the table of cameras and channels.
type nvrWiresView struct {
	Form     ui.Form
	Rows     []nvrWireRow
	Past     []nvrPast
	How      []ui.Option
	Conflict bool
	Refusal  *nvrRefusal
	Faults   []ui.Fault
}

type nvrWireRow struct {
	Camera, Name, Now, Field, Error string
	Options                         []ui.Option
}

// nvrPast is where a camera was before.
type nvrPast struct{ Camera, Channel, Span string }

// How a change of the channels is meant.
const (
	wirePlugged = "plugged" // from an instant on
	wireWrong   = "wrong"   // it always was so
)

func (c *call) nvrWires(n nvr.Overview, values url.Values, errs fielderr.Errors, why error) nvrWiresView {
	if values == nil {
		values = url.Values{"how": {wirePlugged}, "since": {c.P.Input(c.Now.Wall)}}
	}
	v := nvrWiresView{Form: ui.Form{Name: "nvr_wire", P: c.P, Values: values, Errors: errs}, Conflict: errors.Is(why, ledgerdb.ErrConflict)}
	v.Refusal = c.nvrRefusal(why)
	for _, h := range []string{wirePlugged, wireWrong} {
		v.How = append(v.How, ui.Option{Value: h, Text: c.P.T("nvr_wire.how." + h), Hint: c.P.T("nvr_wire.how." + h + ".hint")})
	}
	plugs := map[int]string{}
	for _, p := range n.State.Channels {
		plugs[p.ID] = p.Name
	}
	at := map[string]int{}
	for _, x := range n.Behind {
		at[x.Camera] = x.Channel.ID
		plugs[x.Channel.ID] = cmp.Or(plugs[x.Channel.ID], x.Channel.Name)
	}
	for _, camera := range wired(n) {
		r := nvrWireRow{Camera: camera, Name: c.o.CameraName(camera), Field: "channel." + camera, Now: c.P.T("nvr_wire.none"), Error: v.Form.Error("channel." + camera)}
		if at[camera] > 0 {
			r.Now = plugName(c.P, at[camera], plugs[at[camera]])
		}
		chosen := values.Get(r.Field)
		if !values.Has(r.Field) {
			chosen = strconv.Itoa(at[camera])
		}
		r.Options = append(r.Options, ui.Option{Value: "0", Text: c.P.T("nvr_wire.none"), On: chosen == "0"})
		for _, ch := range slices.Sorted(maps.Keys(plugs)) {
			value := strconv.Itoa(ch)
			r.Options = append(r.Options, ui.Option{Value: value, Text: plugName(c.P, ch, plugs[ch]), On: value == chosen})
		}
		v.Rows = append(v.Rows, r)
		if r.Error != "" {
			v.Faults = append(v.Faults, ui.Fault{ID: "f-" + r.Field, Text: r.Name + c.P.T("sep.colon") + r.Error})
		}
	}
	for _, field := range []string{"how", "since"} {
		if s := v.Form.Error(field); s != "" {
			v.Faults = append(v.Faults, ui.Fault{ID: "f-" + field, Text: c.P.T("nvr_wire.f."+field) + c.P.T("sep.colon") + s})
		}
	}
	for _, w := range n.Earlier() {
		p := nvrPast{c.o.CameraName(w.Camera), plugName(c.P, w.Channel, plugs[w.Channel]), c.P.T("nvr_wire.until", c.P.DayTime(w.To))}
		if !w.From.IsZero() {
			p.Span = c.P.Span(w.From, w.To)
		}
		v.Past = append(v.Past, p)
	}
	return v
}

// wired are the cameras of the table: those of the NVR, and those that an NVR should keep and none does.
func wired(n nvr.Overview) (out []string) {
	for _, x := range n.Behind {
		out = append(out, x.Camera)
	}
	return append(out, n.Loose...)
}

func plugName(p ui.Printer, channel int, name string) string {
	s := p.T("nvr_new.channel", channel)
	if name != "" {
		s += " · " + name
	}
	return s
}

// nvrSeen is the NVR of a form, and the revision that the person saw.
func (o *Pages) nvrSeen(c *call) (nvr.Overview, uint64, error) {
	n, err := o.nvrOf(c)
	if err != nil {
		return n, 0, err
	}
	rev, err := strconv.ParseUint(c.R.PostForm.Get("rev"), 10, 64)
	if err != nil {
		return n, 0, frame.ErrNotFound
	}
	return n, rev, nil
}

// rewireNVR puts cameras on other channels and has the NVR looked at again.
func (o *Pages) rewireNVR(c *call) error {
	n, rev, err := o.nvrSeen(c)
	if err != nil {
		return err
	}
	f := c.R.PostForm
	var errs fielderr.Errors
	channels := map[string]int{}
	for _, camera := range wired(n) {
		if !f.Has("channel." + camera) {
			continue
		}
		if channels[camera], err = strconv.Atoi(f.Get("channel." + camera)); err != nil || channels[camera] < 0 {
			errs.Add("channel."+camera, "err.choice")
		}
	}
	var since time.Time
	switch f.Get("how") {
	case wirePlugged:
		if since, err = time.ParseInLocation("2006-01-02T15:04", f.Get("since"), o.d.Zone); err != nil {
			errs.Add("since", "err.required")
		}
	case wireWrong:
	default:
		errs.Add("how", "err.choice")
	}
	if len(errs) > 0 {
		return o.showNVR(c, http.StatusUnprocessableEntity, nvrShown{wires: f, errs: errs})
	}
	err = o.d.NVRs.Reassign(c.R.Context(), c.Who(), n.ID, rev, channels, since)
	if status, errs := nvrStatus(err); status != 0 {
		return o.showNVR(c, status, nvrShown{wires: f, errs: errs, why: err})
	}
	if err != nil {
		return err
	}
	return o.beginAt(nvr.WorkCheck)(c)
}
