package openapi

import (
	"encoding"
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"strings"
	"time"
)

// schemas are the named structs that were met, by name.
type schemas map[string]*named

type named struct {
	of     reflect.Type
	schema object
}

func (s schemas) components() object {
	out := object{}
	for name, n := range s {
		out[name] = n.schema
	}
	return out
}

// of gives the schema of a value's type.
func (s schemas) of(v any) (object, error) { return s.schema(reflect.TypeOf(v)) }

var (
	textType     = reflect.TypeFor[encoding.TextMarshaler]()
	jsonType     = reflect.TypeFor[json.Marshaler]()
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
	rawType      = reflect.TypeFor[json.RawMessage]()
)

func (s schemas) schema(t reflect.Type) (object, error) {
	switch {
	case t == nil:
		return nil, fmt.Errorf("no type is named")
	case t == timeType:
		return object{"type": "string", "format": "date-time"}, nil
	case t == durationType:
		return object{"type": "integer", "format": "int64", "description": "nanoseconds"}, nil
	case t == rawType:
		return object{"description": "any JSON"}, nil
	case t.Kind() != reflect.Pointer && t.Implements(jsonType):
		return nil, fmt.Errorf("%s writes its own JSON: describe it here", t)
	case t.Implements(textType):
		return object{"type": "string"}, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}, nil
	case reflect.String:
		return object{"type": "string"}, nil
	case reflect.Int64, reflect.Int:
		return object{"type": "integer", "format": "int64"}, nil
	case reflect.Int8, reflect.Int16, reflect.Int32:
		return object{"type": "integer"}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}, nil
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}, nil
	case reflect.Pointer:
		inner, err := s.schema(t.Elem())
		return object{"anyOf": []any{inner, object{"type": "null"}}}, err
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": []string{"string", "null"}, "contentEncoding": "base64"}, nil
		}
		inner, err := s.schema(t.Elem())
		return object{"type": []string{"array", "null"}, "items": inner}, err
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return nil, fmt.Errorf("%s: keys that are no strings", t)
		}
		inner, err := s.schema(t.Elem())
		return object{"type": []string{"object", "null"}, "additionalProperties": inner}, err
	case reflect.Struct:
		return s.structure(t)
	}
	return nil, fmt.Errorf("%s cannot be described", t)
}

// structure gives a reference to a named struct, or the schema of one without a name.
func (s schemas) structure(t reflect.Type) (object, error) {
	if t.Name() == "" {
		return s.fields(t)
	}
	name := path.Base(t.PkgPath()) + "." + strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	ref := object{"$ref": "#/components/schemas/" + name}
	if known := s[name]; known != nil {
		if known.of != t {
			return nil, fmt.Errorf("%s and %s have one name", known.of, t)
		}
		return ref, nil
	}
	n := &named{of: t}
	s[name] = n // before its fields: a type may hold itself
	var err error
	if n.schema, err = s.fields(t); err != nil {
		return nil, err
	}
	return ref, nil
}

func (s schemas) fields(t reflect.Type) (object, error) {
	properties, required := object{}, []string{}
	if err := s.collect(t, properties, &required); err != nil {
		return nil, fmt.Errorf("%s: %w", t, err)
	}
	out := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	return out, nil
}

// collect adds the fields of t, those of embedded structs as encoding/json does: what is nearer to the outside wins.
func (s schemas) collect(t reflect.Type, properties object, required *[]string) error {
	var embedded []reflect.Type
	for f := range fieldsOf(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" && options == "" {
			continue
		}
		if f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct {
			embedded = append(embedded, f.Type)
			continue
		}
		if !f.IsExported() {
			continue
		}
		if f.Anonymous || name == "" {
			return fmt.Errorf("field %s has no name in JSON", f.Name)
		}
		schema, err := s.schema(f.Type)
		if err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		may := false
		for o := range strings.SplitSeq(options, ",") {
			switch o {
			case "omitempty", "omitzero":
				may = true
			case "":
			default:
				return fmt.Errorf("field %s: option %q is not understood", f.Name, o)
			}
		}
		if may {
			schema = neverNull(schema, f.Type)
		} else {
			*required = append(*required, name)
		}
		properties[name] = schema
	}
	for _, e := range embedded {
		inner, needed := object{}, []string{}
		if err := s.collect(e, inner, &needed); err != nil {
			return err
		}
		for _, n := range needed {
			if _, hidden := properties[n]; !hidden {
				*required = append(*required, n)
			}
		}
		for n, schema := range inner {
			if _, hidden := properties[n]; !hidden {
				properties[n] = schema
			}
		}
	}
	return nil
}

// neverNull is the schema of a field that is left out when it is empty: it is there, or absent, and not null.
func neverNull(schema object, t reflect.Type) object {
	if t.Kind() == reflect.Pointer {
		return schema["anyOf"].([]any)[0].(object)
	}
	if two, ok := schema["type"].([]string); ok {
		schema["type"] = two[0]
	}
	return schema
}

func fieldsOf(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}
