// Package qr draws QR codes for the pages of both programs.
//
// It owns nothing and must never fetch anything: a code holds what its caller gives it.
package qr

import (
	"fmt"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// Code is a QR code as one SVG path on a square of Size modules, with the quiet zone around it.
type Code struct {
	Size int
	Path string
}

const quiet = 2 // modules around the code

// Draw gives the code of a text, with correction level M.
func Draw(text string) (Code, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return Code{}, fmt.Errorf("draw a QR code: %w", err)
	}
	n := code.Bounds().Dx()
	dark := func(x, y int) bool {
		r, _, _, _ := code.At(x, y).RGBA()
		return r <= 0x7fff
	}
	var b strings.Builder
	for y := range n {
		for x := 0; x < n; x++ {
			run := 0
			for x+run < n && dark(x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run, run)
				x += run
			}
		}
	}
	return Code{n + 2*quiet, b.String()}, nil
}
