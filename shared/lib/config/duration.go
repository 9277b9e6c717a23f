package config

import (
	"fmt"
	"time"
)

// Duration is a length of time written as text, e.g. "2s", "250ms", "1h30m".
type Duration time.Duration

// UnmarshalText reads Go's notation; anything else is an error that says so.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf(`%q is not a duration such as "2s" or "1h30m"`, b)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes Go's notation.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }
