package vault

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"campuskeep/shared/footage"
)

// A row of the index, compact because a big school has millions:
//
//	key    boot ordinal u32 ‖ from u64 ‖ file id [16]
//	value  flags u8 ‖ day (days since 1970) u16 ‖ wall i64 ‖ session u64 ‖ hash [32] ‖ codec len u8, bytes ‖
//	       uvarint (to − from) ‖ uvarint bytes ‖ uvarint fragments
//
// Sorted by key, the rows of a camera lie boot by boot in the order of recording.
const (
	rowKeySize    = 4 + 8 + 16
	flagRecovered = 1
)

var errRow = errors.New("index row is malformed")

func rowKey(ordinal uint32, from time.Duration, file footage.FileID) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, rowKeySize), ordinal)
	b = binary.BigEndian.AppendUint64(b, uint64(from))
	return append(b, file[:]...)
}

func dayNumber(label string) (uint16, error) {
	t, err := time.Parse(time.DateOnly, label)
	if err != nil {
		return 0, fmt.Errorf("day label: %w", err)
	}
	n := t.Unix() / 86400
	if n < 0 || n > 0xffff {
		return 0, fmt.Errorf("day label %s is out of range", label)
	}
	return uint16(n), nil
}

// dayLabels turns day numbers into labels; neighbouring rows share theirs.
type dayLabels struct {
	n     uint16
	label string
}

func (d *dayLabels) of(n uint16) string {
	if d.label == "" || d.n != n {
		d.n, d.label = n, time.Unix(int64(n)*86400, 0).UTC().Format(time.DateOnly)
	}
	return d.label
}

func rowValue(s footage.Segment) ([]byte, error) {
	day, err := dayNumber(s.Day)
	if err != nil {
		return nil, err
	}
	var flags byte
	if s.Recovered {
		flags |= flagRecovered
	}
	b := append(make([]byte, 0, 80), flags)
	b = binary.BigEndian.AppendUint16(b, day)
	b = binary.BigEndian.AppendUint64(b, uint64(s.Wall.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, s.Session)
	b = append(b, s.Hash[:]...)
	b = append(b, byte(len(s.Codec)))
	b = append(b, s.Codec...)
	b = binary.AppendUvarint(b, uint64(s.To-s.From))
	b = binary.AppendUvarint(b, uint64(s.Bytes))
	return binary.AppendUvarint(b, uint64(s.Frags)), nil
}

// parseRow reads a row; camera and boot are known from where it lies.
func parseRow(camera, boot string, days *dayLabels, k, val []byte) (footage.Segment, error) {
	const fixed = 1 + 2 + 8 + 8 + 32 + 1
	if len(k) != rowKeySize || len(val) < fixed || len(val) < fixed+int(val[fixed-1]) {
		return footage.Segment{}, errRow
	}
	s := footage.Segment{
		Camera:    camera,
		File:      footage.FileID(k[12:]),
		Custody:   footage.CustodyVault,
		Day:       days.of(binary.BigEndian.Uint16(val[1:])),
		Boot:      boot,
		From:      time.Duration(binary.BigEndian.Uint64(k[4:])),
		Wall:      time.Unix(0, int64(binary.BigEndian.Uint64(val[3:]))).UTC(),
		Session:   binary.BigEndian.Uint64(val[11:]),
		Hash:      [32]byte(val[19:]),
		Recovered: val[0]&flagRecovered != 0,
	}
	n := fixed + int(val[fixed-1])
	s.Codec = codecName(val[fixed:n])
	var nums [3]uint64
	for i := range nums {
		x, w := binary.Uvarint(val[n:])
		if w <= 0 || x > 1<<62 {
			return footage.Segment{}, errRow
		}
		nums[i], n = x, n+w
	}
	s.To = s.From + time.Duration(nums[0])
	s.Bytes, s.Frags = int64(nums[1]), int(nums[2])
	if n != len(val) || s.From < 0 || s.To < s.From {
		return footage.Segment{}, errRow
	}
	return s, nil
}

// codecName spares an allocation per row for the names there are.
func codecName(b []byte) string {
	switch string(b) {
	case "h264":
		return "h264"
	case "h265":
		return "h265"
	}
	return string(b)
}
