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

// appendData checks an entry's data against its kind and appends it in the one form: the fields in the order of
// the table, times in UTC. It appends nothing when there is no field. Maps of Go values are read as they are,
// because every card tap passes here; everything else goes through its JSON.
func appendData(out []byte, kind Kind, data any) ([]byte, error) {
	spec, ok := Kinds[kind]
	if !ok {
		return nil, &InvalidError{Kind: kind, Fault: "no such kind"}
	}
	fields, ok := data.(map[string]any)
	if !ok {
		var err error
		if fields, err = objectOf(data); err != nil {
			return nil, &InvalidError{Kind: kind, Field: "data", Fault: err.Error()}
		}
	}
	if len(fields) == 0 && len(spec.Data) == 0 {
		return out, nil
	}
	begin := len(out)
	out = append(out, '{')
	seen := 0
	for _, f := range spec.Data {
		value, present := fields[f.Name]
		if present {
			seen++
		}
		if list := f.Type == Codes || f.Type == Spans; isNull(value) && !(present && list && f.Required) {
			if f.Required {
				return nil, &InvalidError{Kind: kind, Field: f.Name, Fault: "missing"}
			}
			continue
		}
		if len(out) > begin+1 {
			out = append(out, ',')
		}
		out = append(out, '"')
		out = append(out, f.Name...)
		out = append(out, '"', ':')
		var err error
		if out, err = appendAny(out, f.Type, value); err != nil {
			return nil, &InvalidError{Kind: kind, Field: f.Name, Fault: err.Error()}
		}
	}
	if seen != len(fields) {
		return nil, unknownField(kind, spec, fields)
	}
	if len(out) == begin+1 {
		return out[:begin], nil
	}
	return append(out, '}'), nil
}

func isNull(v any) bool {
	raw, ok := v.(json.RawMessage)
	return v == nil || ok && string(raw) == "null"
}

// appendAny is appendValue for Go values, with short ways for the common ones.
func appendAny(out []byte, t Type, value any) ([]byte, error) {
	switch v := value.(type) {
	case json.RawMessage:
		return appendValue(out, t, v)
	case string:
		if t == Code && isCode(v) {
			return append(append(append(out, '"'), v...), '"'), nil
		}
	case int:
		if t == Int {
			return strconv.AppendInt(out, int64(v), 10), nil
		}
	case int64:
		if t == Int {
			return strconv.AppendInt(out, v, 10), nil
		}
	case time.Time:
		if t == Time {
			return appendTime(out, v)
		}
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, errors.New("does not marshal to JSON")
	}
	return appendValue(out, t, raw)
}

func unknownField(kind Kind, spec Spec, fields map[string]any) error {
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

func objectOf(data any) (map[string]any, error) {
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
	out := make(map[string]any, len(fields))
	for name, value := range fields {
		out[name] = value
	}
	return out, nil
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
	if n := len(raw); n > 2 && raw[0] == '"' && raw[n-1] == '"' && isCode(string(raw[1:n-1])) {
		return append(out, raw...), nil
	}
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
