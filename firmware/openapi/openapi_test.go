package openapi

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

type inner struct {
	At   time.Time `json:"at"`
	Name string    `json:"name"`
	Next *inner    `json:"next,omitempty"`
}

type outer struct {
	inner
	Name  int           `json:"name"` // hides that of inner
	Took  time.Duration `json:"took,omitempty"`
	List  []inner       `json:"list"`
	Left  []string      `json:"left,omitempty"`
	Bytes []byte        `json:"bytes"`
	None  string        `json:"-"`
	By    map[string]inner
}

// The schema says what encoding/json writes.
func TestSchemaFollowsTheTypes(t *testing.T) {
	type answer struct {
		inner
		Name  int           `json:"name"`
		Took  time.Duration `json:"took,omitempty"`
		List  []inner       `json:"list"`
		Left  []string      `json:"left,omitempty"`
		Bytes []byte        `json:"bytes"`
		None  string        `json:"-"`
	}
	s := schemas{}
	ref, err := s.of(answer{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "#/components/schemas/openapi.Answer"; ref["$ref"] != want {
		t.Errorf("reference %v, want %s", ref, want)
	}
	got, err := json.Marshal(s["openapi.Answer"].schema)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"properties":{"at":{"format":"date-time","type":"string"},"bytes":{"contentEncoding":"base64","type":["string","null"]},` +
		`"left":{"items":{"type":"string"},"type":"array"},"list":{"items":{"$ref":"#/components/schemas/openapi.Inner"},"type":["array","null"]},` +
		`"name":{"format":"int64","type":"integer"},"next":{"$ref":"#/components/schemas/openapi.Inner"},` +
		`"took":{"description":"nanoseconds","format":"int64","type":"integer"}},"required":["name","list","bytes","at"],"type":"object"}`
	if string(got) != want {
		t.Errorf("schema\n%s\nwant\n%s", got, want)
	}
}

// What cannot be described is an error, not an empty schema.
func TestWhatCannotBeDescribedIsRefused(t *testing.T) {
	for name, answer := range map[string]any{
		"no name in JSON":     outer{},
		"cannot be described": struct{ F func() }{},
		"no strings":          map[int]string{},
		"no type":             nil,
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := (schemas{}).of(answer); err == nil {
				t.Errorf("described as %v", s)
			}
		})
	}
}

func TestDocumentNeedsSummaryAndAnswer(t *testing.T) {
	for _, o := range []Operation{{Method: "GET", Path: "/a", Answer: inner{}}, {Method: "GET", Path: "/a", Summary: "a"}} {
		if _, err := Document(Info{Fault: inner{}}, []Operation{o}); err == nil {
			t.Errorf("%+v was described", o)
		}
	}
	b, err := Document(Info{Title: "t", Version: "1", Cookie: "c", Fault: inner{}}, []Operation{{Method: "GET", Path: "/api/v1/log/{seq}", Summary: "s", Answer: inner{}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"operationId": "getLogSeq"`, `"name": "seq"`, `"openapi": "3.1.0"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is not in\n%s", want, b)
		}
	}
}
