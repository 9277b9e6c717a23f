package ledger

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Caps. A leaf travels to the centre for ever; a part is a form, not a file.
const (
	MaxLeaf  = 4 << 10  // bytes of an entry's JSON
	MaxPart  = 64 << 10 // bytes of one sealed part
	MaxParts = 16       // sealed parts of one entry
	maxList  = 64       // elements of Codes and Spans
	maxID    = 64       // bytes of a code or an id
)

// InvalidError says why a draft or an entry does not fit the table of kinds. It never carries a value.
type InvalidError struct {
	Kind  Kind
	Field string // name of the field or part; empty: the entry as a whole
	Fault string
}

func (e *InvalidError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("ledger: entry %q: %s", e.Kind, e.Fault)
	}
	return fmt.Sprintf("ledger: entry %q, %s: %s", e.Kind, e.Field, e.Fault)
}

// Released says whether the centre receives this sealed part of this kind.
func Released(kind Kind, part string) bool {
	for _, s := range Kinds[kind].Sealed {
		if s.Name == part {
			return s.Released
		}
	}
	return false
}

// canonicalData checks an entry's data against its kind and writes it in the one form: the fields in the
// order of the table, times in UTC. It gives nil when there is no field.
func canonicalData(kind Kind, data any) (json.RawMessage, error) {
	spec, ok := Kinds[kind]
	if !ok {
		return nil, &InvalidError{Kind: kind, Fault: "no such kind"}
	}
	fields, err := objectOf(data)
	if err != nil {
		return nil, &InvalidError{Kind: kind, Field: "data", Fault: err.Error()}
	}
	var out []byte
	seen := 0
	for _, f := range spec.Data {
		raw, present := fields[f.Name]
		if present {
			seen++
		}
		list := f.Type == Codes || f.Type == Spans
		if present && string(raw) == "null" && !(list && f.Required) {
			present = false
		}
		if !present {
			if f.Required {
				return nil, &InvalidError{Kind: kind, Field: f.Name, Fault: "missing"}
			}
			continue
		}
		sep := byte(',')
		if out == nil {
			sep = '{'
		}
		out = append(out, sep, '"')
		out = append(out, f.Name...)
		out = append(out, '"', ':')
		if out, err = appendValue(out, f.Type, raw); err != nil {
			return nil, &InvalidError{Kind: kind, Field: f.Name, Fault: err.Error()}
		}
	}
	if seen != len(fields) {
		return nil, unknownField(kind, spec, fields)
	}
	if out == nil {
		return nil, nil
	}
	return append(out, '}'), nil
}

func unknownField(kind Kind, spec Spec, fields map[string]json.RawMessage) error {
	var unknown []string
	for name := range fields {
		if !slices.ContainsFunc(spec.Data, func(f Field) bool { return f.Name == name }) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	name := unknown[0]
	if !isID(name) {
		name = "data" // a name that is no code may be anything, also personal
	}
	return &InvalidError{Kind: kind, Field: name, Fault: "no such field in this kind"}
}

func objectOf(data any) (map[string]json.RawMessage, error) {
	if data == nil {
		return nil, nil
	}
	raw, err := json.Marshal(data)
	if err != nil {
		return nil, errors.New("does not marshal to JSON")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, errors.New("is not a JSON object")
	}
	return fields, nil
}

// appendValue checks one value and appends its canonical form.
func appendValue(out []byte, t Type, raw json.RawMessage) ([]byte, error) {
	switch t {
	case Code:
		return appendCode(out, raw)
	case Int:
		n, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil {
			return nil, errors.New("is not a 64-bit integer")
		}
		return strconv.AppendInt(out, n, 10), nil
	case Time:
		var v time.Time
		if err := json.Unmarshal(raw, &v); err != nil {
			return nil, errors.New("is not an RFC 3339 instant")
		}
		return appendTime(out, v)
	case Hash:
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return nil, errors.New("is not base64 text")
		}
		b, err := base64.StdEncoding.Strict().DecodeString(s)
		if err != nil || len(b) < 16 || len(b) > 64 {
			return nil, errors.New("is not base64 of 16 to 64 bytes")
		}
		return append(base64.StdEncoding.AppendEncode(append(out, '"'), b), '"'), nil
	case Bool:
		if s := string(raw); s != "true" && s != "false" {
			return nil, errors.New("is not true or false")
		}
		return append(out, raw...), nil
	case Codes:
		return appendList(out, raw, appendCode)
	case Spans:
		return appendList(out, raw, appendSpan)
	}
	return nil, errors.New("has a type that this build does not know")
}

func appendCode(out []byte, raw json.RawMessage) ([]byte, error) {
	var s string
	if json.Unmarshal(raw, &s) != nil || string(raw) == "null" {
		return nil, errors.New("is not a text")
	}
	if !isCode(s) {
		return nil, errors.New("is not a code: 1 to 64 of a-z 0-9 . _ : + -")
	}
	return append(append(append(out, '"'), s...), '"'), nil
}

func appendTime(out []byte, v time.Time) ([]byte, error) {
	v = v.UTC()
	if y := v.Year(); y < 1 || y > 9999 {
		return nil, errors.New("is an instant outside the years 1 to 9999")
	}
	out = append(out, '"')
	return append(v.AppendFormat(out, time.RFC3339Nano), '"'), nil
}

func appendSpan(out []byte, raw json.RawMessage) ([]byte, error) {
	var s struct {
		From *time.Time `json:"from"`
		To   *time.Time `json:"to"`
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if d.Decode(&s) != nil || s.From == nil || s.To == nil {
		return nil, errors.New("holds a span that is not {from, to}")
	}
	if s.To.Before(*s.From) {
		return nil, errors.New("holds a span that ends before it begins")
	}
	out, err := appendTime(append(out, `{"from":`...), *s.From)
	if err != nil {
		return nil, err
	}
	if out, err = appendTime(append(out, `,"to":`...), *s.To); err != nil {
		return nil, err
	}
	return append(out, '}'), nil
}

func appendList(out []byte, raw json.RawMessage, element func([]byte, json.RawMessage) ([]byte, error)) ([]byte, error) {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil, errors.New("is not a list")
	}
	if len(list) > maxList {
		return nil, fmt.Errorf("has %d elements, at most %d are allowed", len(list), maxList)
	}
	out = append(out, '[')
	for i, e := range list {
		if i > 0 {
			out = append(out, ',')
		}
		var err error
		if out, err = element(out, e); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}

// isCode says whether s is a code: lower case only, so that one thing has one spelling.
func isCode(s string) bool {
	for _, c := range []byte(s) {
		if c >= 'A' && c <= 'Z' {
			return false
		}
	}
	return isID(s)
}

// isID is isCode with upper case: ids of persons and devices may come from outside.
func isID(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '_', c == ':', c == '+', c == '-':
		default:
			return false
		}
	}
	return s != "" && len(s) <= maxID
}
