package sealedfiles

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
)

// quality of re-encoded photographs: small print of a hospital's report stays readable.
const quality = 88

// clean judges content by its first bytes and gives what is kept of it: a PDF as it is, a picture decoded and encoded
// again, upright and with its pixels alone.
func (s *Store) clean(b []byte) (kept []byte, kind string, err error) {
	switch {
	case len(b) == 0:
		return nil, "", fault("err.file_empty")
	case len(b) > MaxBytes:
		return nil, "", fault("err.file_large", MaxBytes>>20)
	}
	switch kind = typeOf(b); kind {
	case PDF:
		return b, kind, nil
	case "":
		return nil, "", fault("err.file_type")
	}
	s.picture.Lock()
	defer s.picture.Unlock()
	kept, err = redraw(b, kind)
	return kept, kind, err
}

func typeOf(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("%PDF-")):
		return PDF
	case bytes.HasPrefix(b, []byte("\xff\xd8\xff")):
		return JPEG
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return PNG
	}
	return ""
}

// redraw decodes a picture of bounded size and encodes it again.
func redraw(b []byte, kind string) ([]byte, error) {
	config, decode := jpeg.DecodeConfig, jpeg.Decode
	if kind == PNG {
		config, decode = png.DecodeConfig, png.Decode
	}
	c, err := config(bytes.NewReader(b))
	if err != nil || c.Width <= 0 || c.Height <= 0 {
		return nil, fault("err.file_picture")
	}
	if int64(c.Width)*int64(c.Height) > MaxPixels {
		return nil, fault("err.file_pixels", c.Width, c.Height, MaxPixels>>20)
	}
	m, err := decode(bytes.NewReader(b))
	if err != nil {
		return nil, fault("err.file_picture")
	}
	var out bytes.Buffer
	if kind == PNG {
		err = png.Encode(&out, m)
	} else {
		err = jpeg.Encode(&out, upright(m, orientation(b)), &jpeg.Options{Quality: quality})
	}
	if err != nil {
		return nil, fault("err.file_picture")
	}
	if out.Len() > MaxBytes {
		return nil, fault("err.file_large", MaxBytes>>20)
	}
	return out.Bytes(), nil
}

// upright is the picture as the camera's holder saw it. It takes no memory of its own.
func upright(m image.Image, o int) image.Image {
	if o < 2 || o > 8 {
		return m
	}
	return turned{m, o}
}

// turned shows a picture by one of the eight orientations that cameras note (TIFF tag 0x0112).
type turned struct {
	image.Image
	o int
}

func (t turned) Bounds() image.Rectangle {
	b := t.Image.Bounds()
	if t.o >= 5 {
		return image.Rect(0, 0, b.Dy(), b.Dx())
	}
	return image.Rect(0, 0, b.Dx(), b.Dy())
}

func (t turned) At(x, y int) color.Color {
	b := t.Image.Bounds()
	w, h := b.Dx()-1, b.Dy()-1
	switch t.o {
	case 2:
		x = w - x
	case 3:
		x, y = w-x, h-y
	case 4:
		y = h - y
	case 5:
		x, y = y, x
	case 6:
		x, y = y, h-x
	case 7:
		x, y = w-y, h-x
	case 8:
		x, y = w-y, x
	}
	return t.Image.At(b.Min.X+x, b.Min.Y+y)
}

// orientation reads how a JPEG is to be turned from its Exif header; 1 when it does not say.
func orientation(b []byte) int {
	for at := 2; at+4 <= len(b) && b[at] == 0xff; {
		marker, size := b[at+1], int(binary.BigEndian.Uint16(b[at+2:]))
		switch {
		case marker == 0xff: // a fill byte
			at++
			continue
		case size < 2 || at+2+size > len(b) || marker == 0xda:
			return 1
		case marker == 0xe1:
			if tiff, ok := bytes.CutPrefix(b[at+4:at+2+size], []byte("Exif\x00\x00")); ok {
				return tiffOrientation(tiff)
			}
		}
		at += 2 + size
	}
	return 1
}

func tiffOrientation(b []byte) int {
	if len(b) < 8 {
		return 1
	}
	var order binary.ByteOrder
	switch string(b[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 1
	}
	at := int64(order.Uint32(b[4:]))
	if at+2 > int64(len(b)) {
		return 1
	}
	n := int(order.Uint16(b[at:]))
	for i := range n {
		e := at + 2 + int64(i)*12
		if e+12 > int64(len(b)) {
			return 1
		}
		if order.Uint16(b[e:]) != 0x0112 {
			continue
		}
		if o := int(order.Uint16(b[e+8:])); o >= 1 && o <= 8 {
			return o
		}
		return 1
	}
	return 1
}
