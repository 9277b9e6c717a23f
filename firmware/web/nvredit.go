package web

import (
	"encoding/json"
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
	"campuskeep/firmware/site"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
)

// nvrFormView is the form of a registered NVR: what it is, how it is reached, and whether the machine was replaced.
type nvrFormView struct {
	N        NVR
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

func (o *Server) editNVRPage(c *call) error {
	n, err := o.nvrOf(c)
	if err != nil {
		return err
	}
	if n.Retired {
		return errNotFound
	}
	return o.showNVRForm(c, http.StatusOK, n, nvrValues(n), nil, nil)
}

// nvrOf is the NVR that a request is about.
func (o *Server) nvrOf(c *call) (NVR, error) {
	n, err := o.d.NVRs.NVR(c.r.PathValue("id"))
	if errors.Is(err, ErrNoNVR) {
		return n, errNotFound
	}
	if err != nil {
		return n, fmt.Errorf("read NVR %s: %w", c.r.PathValue("id"), err)
	}
	return n, nil
}

func nvrValues(n NVR) url.Values {
	return url.Values{"rev": {strconv.FormatUint(n.Rev, 10)}, "name": {n.Name}, "place": {n.Place}, "installer": {n.Installer}, "technician": {n.Technician},
		"installed": {n.Installed}, "address": {n.Address}, "rtsp": {n.RTSP}, "pin": {n.Pin}, "swap": {swapNone}}
}

func (o *Server) showNVRForm(c *call, status int, n NVR, values url.Values, errs fielderr.Errors, why error) error {
	v := nvrFormView{N: n, Form: ui.Form{Name: "nvr_edit", P: c.p, Values: values, Errors: errs}, Kept: c.nvrKept(n), Conflict: errors.Is(why, ledgerdb.ErrConflict)}
	if r, ok := errors.AsType[*NVRRefusal](why); ok {
		v.Refusal = c.nvrRefusal(r)
	}
	v.Techs = o.technicians(n.Technician)
	for _, s := range []string{swapNone, swapGone, swapDisks} {
		k := "nvr_edit.swap." + s
		v.Swap = append(v.Swap, ui.Option{Value: s, Text: c.p.T(k), Hint: c.p.T(k + ".hint")})
	}
	for _, x := range n.Depend {
		if x.Recorded {
			v.Through = append(v.Through, o.cameraName(x.Camera))
		}
	}
	return c.pageStatus(status, "nvr_form", n.Name, v)
}

// technicians are whom a device may be given to; who has it already stays to be chosen.
func (o *Server) technicians(present string) []ui.Option {
	out := []ui.Option{{Text: "–"}}
	for _, p := range o.d.People.People() {
		if !p.Disabled || p.ID == present {
			out = append(out, ui.Option{Value: p.ID, Text: p.Name + "（" + p.Unit + "）"})
		}
	}
	return out
}

func (c *call) nvrRefusal(r *NVRRefusal) *nvrRefusal {
	out := &nvrRefusal{Title: c.p.K("nvr.fault.", r.Fault), Text: c.p.K("nvr.fault.text.", r.Fault), Detail: r.Detail}
	switch {
	case r.Known != "":
		out.Text = c.p.T("nvr_edit.known", r.Found, c.o.nvrName(r.Known))
	case r.Found != "":
		out.Text = c.p.T("nvr_edit.other", r.Found, r.Was)
		out.Other = c.p.T("nvr_edit.other.way")
	case r.Fault == "credentials":
		out.Text = c.p.T("nvr_new.lock")
	}
	return out
}

func (c *call) nvrKept(n NVR) (out []nvrKept) {
	for _, k := range n.Kept {
		out = append(out, nvrKept{c.o.cameraName(k.Camera), c.p.Span(k.Span.From, k.Span.To), c.p.Day(k.Until)})
	}
	return out
}

// putNVR changes a registered NVR. Where it is reached is changed only when it answers there; the page waits for that.
func (o *Server) putNVR(c *call) error {
	n, rev, err := o.nvrSeen(c)
	if err != nil {
		return err
	}
	f := c.r.PostForm
	text := func(k string) string { return strings.TrimSpace(f.Get(k)) }
	e := NVREdit{Rev: rev, Name: text("name"), Place: text("place"), Installer: text("installer"), Technician: f.Get("technician"), Installed: text("installed"),
		Address: strings.TrimRight(text("address"), "/"), RTSP: text("rtsp"), Pin: plainPin(text("pin")), Login: site.Login{User: text("user"), Password: f.Get("password")},
		Swapped: f.Get("swap") == swapGone || f.Get("swap") == swapDisks, Disks: f.Get("swap") == swapDisks, Reason: text("reason")}
	if e.Address != "" && !strings.Contains(e.Address, "://") {
		e.Address = "http://" + e.Address
	}
	var errs fielderr.Errors
	if e.Technician != n.Technician && e.Technician != "" {
		if p, ok := o.d.People.Person(e.Technician); !ok || p.Disabled {
			errs.Add("technician", "err.choice")
		}
	}
	if len(errs) > 0 {
		return o.showNVRForm(c, http.StatusUnprocessableEntity, n, f, errs, nil)
	}
	err = o.d.NVRs.Edit(c.r.Context(), c.who(), n.ID, e)
	if status, errs := nvrStatus(err); status != 0 {
		return o.showNVRForm(c, status, n, f, errs, err)
	}
	switch {
	case errors.Is(err, ErrNoNVR):
		return errNotFound
	case err != nil:
		return err
	case e.Swapped || e.Address != n.Address || e.RTSP != n.RTSP || e.Pin != n.Pin || e.Login != site.Login{}:
		return o.beginAt(nvrCheck)(c)
	}
	return c.done("/nvrs/"+n.ID, "done.nvr.changed")
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
	if _, ok := errors.AsType[*NVRRefusal](err); ok {
		return http.StatusUnprocessableEntity, nil
	}
	if errors.Is(err, ledgerdb.ErrConflict) {
		return http.StatusConflict, nil
	}
	return 0, nil
}

// nvrChanges reads from the log what was changed about an NVR, latest first.
func (o *Server) nvrChanges(c *call, id string) (out []cameraChange, _ error) {
	page, err := o.d.Ledger.Search(c.r.Context(), ledgerdb.Query{Kinds: []ledger.Kind{"config.change"}, About: []string{"nvr:" + id}, Limit: mostChanges})
	if err != nil {
		return nil, fmt.Errorf("read the changes of an NVR: %w", err)
	}
	see := c.can(account.ActLogProof, account.Subject{})
	for _, e := range page.Entries {
		x := cameraChange{Seq: e.Seq, When: c.p.When(e.At, c.now.Wall), Who: c.actorName(e.Actor), What: c.nvrChange(e), CanSee: see}
		parts, err := o.d.Ledger.Parts(e.Seq)
		if err != nil {
			return nil, fmt.Errorf("read the change of an NVR: %w", err)
		}
		x.Fields = c.nvrFields(parts)
		out = append(out, x)
	}
	return out, nil
}

// nvrChange names a change of the register of NVRs.
func (c *call) nvrChange(e ledger.Entry) string {
	var d struct{ What string }
	decode(e.Data, &d)
	return c.p.K("nvr.change.", d.What)
}

// nvrStated is what an entry holds of an NVR's row.
type nvrStated struct {
	Name, Place, Address, RTSP, Pin, Installer, Technician, Installed string
	Cameras                                                           map[int]string
}

// nvrFields puts before beside after for what differs.
func (c *call) nvrFields(parts []ledger.OpenPart) (out []changedField) {
	var before, after nvrStated
	known := false
	for _, p := range parts {
		switch {
		case p.Erased:
		case p.Name == "before":
			known = decode(json.RawMessage(p.Plain), &before)
		case p.Name == "after":
			decode(json.RawMessage(p.Plain), &after)
		case p.Name == "reason":
			out = append(out, changedField{c.p.T("nvr_edit.f.reason"), "", string(p.Plain)})
		}
	}
	if !known {
		return out
	}
	for _, f := range []struct{ name, a, b string }{
		{"name", before.Name, after.Name}, {"place", before.Place, after.Place}, {"address", before.Address, after.Address}, {"rtsp", before.RTSP, after.RTSP},
		{"pin", before.Pin, after.Pin}, {"installer", before.Installer, after.Installer}, {"technician", c.o.name(before.Technician), c.o.name(after.Technician)},
		{"installed", before.Installed, after.Installed},
	} {
		if f.a != f.b {
			out = append(out, changedField{c.p.T("nvr_edit.f." + f.name), cmpOr(f.a, "–"), cmpOr(f.b, "–")})
		}
	}
	on := func(m map[int]string, camera string) string {
		for n, id := range m {
			if id == camera {
				return c.p.T("nvr_new.channel", n)
			}
		}
		return c.p.T("nvr_wire.none")
	}
	cameras := slices.Sorted(maps.Values(after.Cameras))
	for _, id := range slices.Sorted(maps.Values(before.Cameras)) {
		if !slices.Contains(cameras, id) {
			cameras = append(cameras, id)
		}
	}
	for _, id := range cameras {
		if a, b := on(before.Cameras, id), on(after.Cameras, id); a != b {
			out = append(out, changedField{c.o.cameraName(id), a, b})
		}
	}
	return out
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

func (c *call) nvrWires(n NVR, values url.Values, errs fielderr.Errors, why error) nvrWiresView {
	if values == nil {
		values = url.Values{"how": {wirePlugged}, "since": {c.p.Input(c.now.Wall)}}
	}
	v := nvrWiresView{Form: ui.Form{Name: "nvr_wire", P: c.p, Values: values, Errors: errs}, Conflict: errors.Is(why, ledgerdb.ErrConflict)}
	if r, ok := errors.AsType[*NVRRefusal](why); ok {
		v.Refusal = c.nvrRefusal(r)
	}
	for _, h := range []string{wirePlugged, wireWrong} {
		v.How = append(v.How, ui.Option{Value: h, Text: c.p.T("nvr_wire.how." + h), Hint: c.p.T("nvr_wire.how." + h + ".hint")})
	}
	plugs := map[int]string{}
	for _, p := range n.Channels {
		plugs[p.Channel] = p.Name
	}
	at := map[string]int{}
	for _, x := range n.Cameras {
		at[x.Camera] = x.Channel
		plugs[x.Channel] = cmpOr(plugs[x.Channel], x.Name)
	}
	for _, camera := range wired(n) {
		r := nvrWireRow{Camera: camera, Name: c.o.cameraName(camera), Field: "channel." + camera, Now: c.p.T("nvr_wire.none"), Error: v.Form.Error("channel." + camera)}
		if at[camera] > 0 {
			r.Now = plugName(c.p, at[camera], plugs[at[camera]])
		}
		chosen := values.Get(r.Field)
		if !values.Has(r.Field) {
			chosen = strconv.Itoa(at[camera])
		}
		r.Options = append(r.Options, ui.Option{Value: "0", Text: c.p.T("nvr_wire.none"), On: chosen == "0"})
		for _, ch := range slices.Sorted(maps.Keys(plugs)) {
			value := strconv.Itoa(ch)
			r.Options = append(r.Options, ui.Option{Value: value, Text: plugName(c.p, ch, plugs[ch]), On: value == chosen})
		}
		v.Rows = append(v.Rows, r)
		if r.Error != "" {
			v.Faults = append(v.Faults, ui.Fault{ID: "f-" + r.Field, Text: r.Name + c.p.T("sep.colon") + r.Error})
		}
	}
	for _, field := range []string{"how", "since"} {
		if s := v.Form.Error(field); s != "" {
			v.Faults = append(v.Faults, ui.Fault{ID: "f-" + field, Text: c.p.T("nvr_wire.f."+field) + c.p.T("sep.colon") + s})
		}
	}
	for _, w := range n.Wires {
		p := nvrPast{c.o.cameraName(w.Camera), plugName(c.p, w.Channel, plugs[w.Channel]), c.p.T("nvr_wire.until", c.p.DayTime(w.To))}
		if !w.From.IsZero() {
			p.Span = c.p.Span(w.From, w.To)
		}
		v.Past = append(v.Past, p)
	}
	return v
}

// wired are the cameras of the table: those of the NVR, and those that an NVR should keep and none does.
func wired(n NVR) (out []string) {
	for _, x := range n.Cameras {
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
func (o *Server) nvrSeen(c *call) (NVR, uint64, error) {
	n, err := o.nvrOf(c)
	if err != nil {
		return n, 0, err
	}
	rev, err := strconv.ParseUint(c.r.PostForm.Get("rev"), 10, 64)
	if err != nil {
		return n, 0, errNotFound
	}
	return n, rev, nil
}

// rewireNVR puts cameras on other channels and has the NVR looked at again.
func (o *Server) rewireNVR(c *call) error {
	n, rev, err := o.nvrSeen(c)
	if err != nil {
		return err
	}
	f := c.r.PostForm
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
	err = o.d.NVRs.Rewire(c.r.Context(), c.who(), n.ID, rev, channels, since)
	if status, errs := nvrStatus(err); status != 0 {
		return o.showNVR(c, status, nvrShown{wires: f, errs: errs, why: err})
	}
	if errors.Is(err, ErrNoNVR) {
		return errNotFound
	}
	if err != nil {
		return err
	}
	return o.beginAt(nvrCheck)(c)
}
