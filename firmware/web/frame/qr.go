package frame

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// QRCode is a QR code as one SVG path in units of modules, with the quiet zone around it.
type QRCode struct {
	Size int
	Path string
}

// QRImage draws a text as a QR code.
func QRImage(text string) (QRCode, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return QRCode{}, fmt.Errorf("draw a QR code: %w", err)
	}
	const quiet = 2
	n := code.Bounds().Dx()
	var b strings.Builder
	for y := range n {
		for x := 0; x < n; x++ {
			run := 0
			for x+run < n {
				if r, _, _, _ := code.At(x+run, y).RGBA(); r > 0x7fff {
					break
				}
				run++
			}
			if run > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run, run)
				x += run
			}
		}
	}
	return QRCode{n + 2*quiet, b.String()}, nil
}

// DrawQR is a QR code as one SVG path on a square of so many modules.
func DrawQR(text string) (size int, path string, err error) {
	code, err := QRImage(text)
	return code.Size, code.Path, err
}

// LeafHash is the RFC 6962 hash of a leaf, as documents print it.
func LeafHash(leaf []byte) string {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(leaf)
	return hex.EncodeToString(h.Sum(nil))
}

// FingerprintWords cuts a hash into eights, so that it can be read aloud and broken over lines.
func FingerprintWords(hash string) string {
	var words []string
	for len(hash) > 8 {
		words, hash = append(words, hash[:8]), hash[8:]
	}
	return strings.Join(append(words, hash), " ")
}
