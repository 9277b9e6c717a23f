package driver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// TrackID names a recording track as its driver does; nothing else reads it. Empty: none.
type TrackID string

// MarshalJSON writes an id of digits as a number, the form of rows since the first version.
func (id TrackID) MarshalJSON() ([]byte, error) {
	if id == "" {
		return []byte("0"), nil
	}
	if n, err := strconv.ParseUint(string(id), 10, 32); err == nil && strconv.FormatUint(n, 10) == string(id) && n > 0 {
		return []byte(id), nil
	}
	return json.Marshal(string(id))
}

// UnmarshalJSON reads a number or a text.
func (id *TrackID) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		return json.Unmarshal(b, (*string)(id))
	}
	var n uint32
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("read the id of a track: %w", err)
	}
	*id = ""
	if n > 0 {
		*id = TrackID(strconv.FormatUint(uint64(n), 10))
	}
	return nil
}
