package ui

import (
	"net/url"
	"slices"

	"campuskeep/shared/lib/fielderr"
)

// Form is one form with what was typed into it and what is wrong with it. Texts come from the catalogue:
// label `<name>.f.<field>`, hint `<name>.f.<field>.hint` when there is one. Mark keeps the fields of a second form on a
// page apart from those of the first: a label belongs to the first field of its id.
type Form struct {
	Name   string
	Mark   string
	P      Printer
	Values url.Values
	Errors fielderr.Errors
}

// Field is one field, ready for the template "field". Its methods give changed copies.
type Field struct {
	ID, Name, Kind, Label, Hint, Value, Error string
	Required                                  bool
	Span, Rows, Max                           int
	Min, To, Step, Auto, Mode, Place          string
	Options                                   []Option
	Locked                                    bool
}

// Option is one choice of a field. Code is shown before the text, Hint below it.
type Option struct {
	Value, Text, Code, Hint string
	On                      bool
	Off                     bool // cannot be chosen; Hint says why
}

// In is a field of the form: kind text, password, date, datetime-local, number, tel, search, textarea,
// select, radio or check.
func (f Form) In(name, kind string) Field {
	base := f.Name + ".f." + name
	d := Field{ID: f.id(name), Name: name, Kind: kind, Label: f.P.T(base), Value: f.Values.Get(name), Span: 6, Error: f.Error(name)}
	if Has(base + ".hint") {
		d.Hint = f.P.T(base + ".hint")
	}
	return d
}

func (f Form) id(name string) string { return "f-" + f.Mark + name }

// Error is the text of what is wrong with a field, empty when nothing is.
func (f Form) Error(name string) string {
	for _, e := range f.Errors {
		if e.Field == name {
			return f.P.T(e.Rule, e.Args...)
		}
	}
	return ""
}

// Fault is a line of the error summary: it leads to its field.
type Fault struct{ ID, Text string }

// Faults lists what is wrong, in the order found. What is wrong in the same words at several fields is one line with
// their number, which leads to the first.
func (f Form) Faults() []Fault {
	var out []Fault
	var times []int
	for _, e := range f.Errors {
		label := ""
		if k := f.Name + ".f." + e.Field; Has(k) {
			label = f.P.T(k) + f.P.T("sep.colon")
		}
		text := label + f.P.T(e.Rule, e.Args...)
		if i := slices.IndexFunc(out, func(x Fault) bool { return x.Text == text }); i >= 0 {
			times[i]++
			continue
		}
		out, times = append(out, Fault{f.id(e.Field), text}), append(times, 1)
	}
	for i, n := range times {
		if n > 1 {
			out[i].Text += f.P.T("form.times", n)
		}
	}
	return out
}

// Has says whether a value of a field is chosen.
func (f Form) Has(name, value string) bool { return slices.Contains(f.Values[name], value) }

// Pick sets the options of a field and marks those that are chosen.
func (f Form) Pick(name, kind string, options []Option) Field {
	d := f.In(name, kind)
	d.Options = slices.Clone(options)
	for i := range d.Options {
		d.Options[i].On = f.Has(name, d.Options[i].Value)
	}
	return d
}

// Req marks the field as required.
func (d Field) Req() Field { d.Required = true; return d }

// Cols sets how many of twelve columns the field takes: 3, 4, 6, 8 or 12.
func (d Field) Cols(n int) Field { d.Span = n; return d }

// Len limits the number of characters.
func (d Field) Len(n int) Field { d.Max = n; return d }

// Lines makes a text area this high.
func (d Field) Lines(n int) Field { d.Rows = n; return d }

// Fill names what the browser may fill in.
func (d Field) Fill(a string) Field { d.Auto = a; return d }

// Digits asks phones for the digit keyboard.
func (d Field) Digits() Field { d.Mode = "numeric"; return d }

// Lock makes the field readable only.
func (d Field) Lock() Field { d.Locked = true; return d }

// Like shows an example of what to write.
func (d Field) Like(s string) Field { d.Place = s; return d }

// Range limits dates and numbers, as the browser writes them.
func (d Field) Range(from, to string) Field { d.Min, d.To = from, to; return d }
