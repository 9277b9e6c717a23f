package qr

import (
	"fmt"
	"strings"
	"testing"

	"github.com/boombuler/barcode/qr"
)

// The path covers exactly the dark modules of the code.
func TestPathCoversTheDarkModules(t *testing.T) {
	const text = "otpauth://totp/Campuskeep:li?secret=ABCDEFGHIJKLMNOP&issuer=Campuskeep"
	got, err := Draw(text)
	if err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		t.Fatal(err)
	}
	n := code.Bounds().Dx()
	if got.Size != n+2*quiet {
		t.Fatalf("size %d, want %d", got.Size, n+2*quiet)
	}
	drawn := map[[2]int]bool{}
	for _, part := range strings.Split(strings.TrimSuffix(got.Path, "z"), "z") {
		var x, y, w, back int
		if _, err := fmt.Sscanf(part, "M%d %dh%dv1h-%d", &x, &y, &w, &back); err != nil || w != back {
			t.Fatalf("%q: %v", part, err)
		}
		for i := range w {
			drawn[[2]int{x + i - quiet, y - quiet}] = true
		}
	}
	for y := range n {
		for x := range n {
			r, _, _, _ := code.At(x, y).RGBA()
			if drawn[[2]int{x, y}] != (r <= 0x7fff) {
				t.Fatalf("module %d,%d", x, y)
			}
		}
	}
	if _, err := Draw(strings.Repeat("x", 5000)); err == nil {
		t.Error("a text that no code holds was drawn")
	}
}
