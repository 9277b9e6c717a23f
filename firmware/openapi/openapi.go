// Package openapi describes a JSON interface as an OpenAPI 3.1 document, with the schemas of the Go types that are
// really sent and read.
//
// It owns nothing and is pure. It must never describe a field otherwise than encoding/json writes it: a type that it
// does not understand is an error, not an empty schema.
package openapi

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Operation is one method of one path.
type Operation struct {
	Method, Path string // path parameters in braces: /api/v1/log/{seq}
	Summary      string
	Permission   string // action of the permission table
	Public       bool   // no log-in is needed
	Query        []Parameter
	Form         any // zero value of the type of a form's fields; nil: no body
	Answer       any // zero value of the answer's type
}

// Parameter is one parameter of the query, a string.
type Parameter struct{ Name, Text string }

// Info is what a document says of the whole interface.
type Info struct {
	Title, Version string
	Cookie         string // name of the cookie of a session
	Fault          any    // zero value of the answer that refuses
}

type object = map[string]any

// Document gives the description as indented JSON, the same for the same operations.
func Document(info Info, operations []Operation) ([]byte, error) {
	s := schemas{}
	fault, err := s.of(info.Fault)
	if err != nil {
		return nil, fmt.Errorf("describe a refusal: %w", err)
	}
	paths := map[string]object{}
	for _, o := range operations {
		if o.Summary == "" || o.Answer == nil {
			return nil, fmt.Errorf("%s %s has no summary or no answer for the OpenAPI document", o.Method, o.Path)
		}
		described, err := s.operation(o)
		if err != nil {
			return nil, fmt.Errorf("describe %s %s: %w", o.Method, o.Path, err)
		}
		if paths[o.Path] == nil {
			paths[o.Path] = object{}
		}
		paths[o.Path][strings.ToLower(o.Method)] = described
	}
	b, err := json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info":    object{"title": info.Title, "version": info.Version, "license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"}},
		"servers": []any{object{"url": "/"}},
		"paths":   paths,
		"components": object{
			"securitySchemes": object{"session": object{"type": "apiKey", "in": "cookie", "name": info.Cookie}},
			"responses":       object{"fault": object{"description": "Refused: error is a code, text says it in words", "content": content("application/json", fault)}},
			"schemas":         s.components(),
		},
		"security": []any{object{"session": []any{}}},
	}, "", " ")
	if err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	return append(b, '\n'), nil
}

func content(kind string, schema object) object { return object{kind: object{"schema": schema}} }

func (s schemas) operation(o Operation) (object, error) {
	answer, err := s.of(o.Answer)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	refused := object{"$ref": "#/components/responses/fault"}
	out := object{
		"operationId": operationID(o), "summary": o.Summary, "x-permission": o.Permission,
		"responses": object{"200": object{"description": "OK", "content": content("application/json", answer)}, "4XX": refused, "5XX": refused},
	}
	if o.Public {
		out["security"] = []any{}
	}
	if o.Form != nil {
		form, err := s.of(o.Form)
		if err != nil {
			return nil, fmt.Errorf("form: %w", err)
		}
		out["requestBody"] = object{"required": true, "content": content("application/x-www-form-urlencoded", form)}
	}
	if p := parameters(o); p != nil {
		out["parameters"] = p
	}
	return out, nil
}

func parameters(o Operation) []object {
	var out []object
	for part := range strings.SplitSeq(o.Path, "/") {
		if strings.HasPrefix(part, "{") {
			out = append(out, object{"name": strings.Trim(part, "{}"), "in": "path", "required": true, "schema": object{"type": "string"}})
		}
	}
	for _, p := range o.Query {
		out = append(out, object{"name": p.Name, "in": "query", "description": p.Text, "schema": object{"type": "string"}})
	}
	return out
}

// operationID is a name for generated clients: getLogSeq.
func operationID(o Operation) string {
	var b strings.Builder
	b.WriteString(strings.ToLower(o.Method))
	for part := range strings.FieldsFuncSeq(o.Path, func(r rune) bool { return strings.ContainsRune("/{}.-_", r) }) {
		if part != "api" && part != "v1" {
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return b.String()
}
