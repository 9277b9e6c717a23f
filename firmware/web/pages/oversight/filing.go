package oversight

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"campuskeep/firmware/web/frame"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/lib/ui"
	rules "campuskeep/shared/oversight"
)

// devices are the cameras in service as the filing names them.
func (c *call) devices() (out []rules.Device) {
	for _, x := range c.o.d.Site.Cameras() {
		if x.Retired {
			continue
		}
		out = append(out, rules.Device{Camera: x.ID, Name: x.Name, Place: x.Place, Kind: string(x.Area), Days: x.Policy.Days, Since: x.Since})
	}
	return out
}

// difference is how the cameras differ from those of the last filing; filed is false when none was.
func (c *call) difference() (d rules.Difference, filed bool) {
	last := c.o.d.Oversight.Filings()
	if len(last) == 0 {
		return d, false
	}
	since := map[string]time.Time{}
	for _, x := range c.o.d.Site.Cameras() {
		since[x.ID] = x.Since
	}
	return rules.Differs(last[0].Devices, c.devices(), func(camera string) time.Time {
		if t := since[camera]; t.After(last[0].At) {
			return t
		}
		return last[0].At
	}, rules.DefaultSettings), true
}

type filingView struct {
	Rows      []deviceRow
	Days      string
	Past      []filedRow
	Form      ui.Form
	Filed     bool
	Diff      rules.Difference
	Due, Tone string
	CanEdit   bool
	Org       string
	Copy      *frame.PrintedCopy
	Today     string
	Kinds     []kindRow
}

type deviceRow struct {
	D          rules.Device
	Kind, Mark string
	Tone       string
}

type kindRow struct {
	Text string
	N    int
}

type filedRow struct {
	F             rules.Filing
	At, Who, When string
	N             int
}

func (c *call) filing(f url.Values, errs fielderr.Errors) filingView {
	v := filingView{Form: ui.Form{Name: "filing", P: c.P, Values: f, Errors: errs}, CanEdit: c.Can(account.ActFilingEdit, account.Subject{}), Org: c.o.d.Info.School, Today: c.P.FullDate(c.Now.Wall)}
	v.Diff, v.Filed = c.difference()
	v.Due, v.Tone = c.due(v.Diff.Due)
	mark := map[string]string{}
	for _, d := range v.Diff.Added {
		mark[d.Camera] = "added"
	}
	for _, d := range v.Diff.Changed {
		mark[d.Camera] = "changed"
	}
	kinds := map[string]int{}
	least, most := 0, 0
	for _, d := range c.devices() {
		r := deviceRow{D: d, Kind: c.P.K("area.", d.Kind)}
		if m := mark[d.Camera]; m != "" {
			r.Mark, r.Tone = c.P.T("filing."+m), "warn"
		}
		kinds[r.Kind]++
		if least == 0 || d.Days < least {
			least = d.Days
		}
		most = max(most, d.Days)
		v.Rows = append(v.Rows, r)
	}
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		v.Kinds = append(v.Kinds, kindRow{k, kinds[k]})
	}
	v.Days = fmt.Sprint(least)
	if most != least {
		v.Days = fmt.Sprintf("%d–%d", least, most)
	}
	for _, x := range c.o.d.Oversight.Filings() {
		v.Past = append(v.Past, filedRow{x, c.P.Day(x.At), c.name(x.By), c.P.DayTime(x.Entered), len(x.Devices)})
	}
	return v
}

func (o *Pages) filingPage(c *call) error {
	return c.Page("filing", c.P.T("filing.title"), c.filing(url.Values{}, nil))
}

func (o *Pages) putFiling(c *call) error {
	f := c.R.PostForm
	var errs fielderr.Errors
	at := c.day(f, "at", &errs)
	if !at.IsZero() {
		at = at.Add(time.Second - 24*time.Hour)
	}
	if len(errs) == 0 {
		_, err := o.d.Oversight.File(c.R.Context(), c.Who(), rules.Filing{At: at, To: f.Get("to"), Receipt: f.Get("receipt"), Text: f.Get("text"), Devices: c.devices()})
		if errs, err = fault(c, err); err != nil {
			return err
		}
	}
	if len(errs) > 0 {
		return c.PageStatus(http.StatusUnprocessableEntity, "filing", c.P.T("filing.title"), c.filing(f, errs))
	}
	return c.Done("/filing", "done.filing")
}

// filingDocument names the sheet in the log of printed documents.
const filingDocument = "filing"

func (o *Pages) printFiling(c *call) error {
	_, entry, err := o.LogPrintout(c.Call, filingDocument, frame.FormPrint, "", "")
	if err != nil {
		return err
	}
	return c.SeeOther(fmt.Sprintf("/filing/sheet?entry=%d", entry))
}

func (o *Pages) filingSheet(c *call) error {
	v := c.filing(url.Values{}, nil)
	var err error
	if v.Copy, err = o.LogCopy(c.Call, filingDocument); err != nil {
		return err
	}
	return c.Page("filing_sheet", c.P.T("filing.sheet"), v)
}

// APIFiling is what is to be filed, and what was, as JSON.
type APIFiling struct {
	Devices    []rules.Device   `json:"devices"`
	Filed      []rules.Filing   `json:"filed"`
	Difference rules.Difference `json:"difference"`
}

func (o *Pages) apiFiling(c *call) error {
	out := APIFiling{Devices: append([]rules.Device{}, c.devices()...), Filed: append([]rules.Filing{}, o.d.Oversight.Filings()...)}
	out.Difference, _ = c.difference()
	return c.JSON(http.StatusOK, out)
}
