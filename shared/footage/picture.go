package footage

import (
	"image"
	"image/color"
	"math"
)

// A camera's picture is judged on the JPEG that the camera makes itself: nothing here decodes video. What is kept of a
// picture is its brightness at 160 × 90 points, in memory, until the next one is there.
const (
	sampleWidth, sampleHeight = 160, 90
	cellSide                  = 10 // points; a picture has 16 × 9 cells
	cellsWide                 = sampleWidth / cellSide
	cellsHigh                 = sampleHeight / cellSide
)

// Thresholds of the judgement. picture_test.go shows with real JPEGs how far scenes of the field lie from them.
const (
	// DarkLevel is the brightest luma (0 to 255) that still counts as black. A covered lens with its amplifier full on
	// gives 5 to 25, and cameras that leave video range unexpanded write black as 16.
	DarkLevel = 32
	// DarkShare of the points must be that dark. The rest is left to a clock and a name written into the picture.
	DarkShare = 0.97
	// StillCells is how many of the 144 cells may change in a picture that is frozen: a clock and a name of two lines.
	// A sensor that lives changes nearly all of them by its noise alone, even where a strong compression keeps only the
	// mean of each block: 95 were the fewest, at 352 × 288, JPEG quality 30 and a noise of 0.7. A camera that encodes
	// one frozen picture with changing quality passes for a live one.
	StillCells = 18
)

// Sample is what is kept of one picture.
type Sample struct {
	points    []uint8
	Mean      float64 // luma, 0 to 255
	Deviation float64
	Dark      float64 // share of points not brighter than DarkLevel
}

// Measure takes a look at a picture. A picture smaller than 32 × 18 shows nothing that could be judged: ok is false.
func Measure(img image.Image) (l Sample, ok bool) {
	b := img.Bounds()
	if b.Dx() < 32 || b.Dy() < 18 {
		return Sample{}, false
	}
	l.points = make([]uint8, 0, sampleWidth*sampleHeight)
	luma := func(x, y int) uint8 { return color.GrayModel.Convert(img.At(x, y)).(color.Gray).Y }
	switch m := img.(type) {
	case *image.YCbCr:
		luma = func(x, y int) uint8 { return m.Y[m.YOffset(x, y)] }
	case *image.Gray:
		luma = func(x, y int) uint8 { return m.Pix[m.PixOffset(x, y)] }
	}
	var sum, squares float64
	dark := 0
	for j := range sampleHeight {
		y := b.Min.Y + (2*j+1)*b.Dy()/(2*sampleHeight)
		for i := range sampleWidth {
			v := luma(b.Min.X+(2*i+1)*b.Dx()/(2*sampleWidth), y)
			l.points = append(l.points, v)
			sum += float64(v)
			squares += float64(v) * float64(v)
			if v <= DarkLevel {
				dark++
			}
		}
	}
	n := float64(len(l.points))
	l.Mean, l.Dark = sum/n, float64(dark)/n
	l.Deviation = math.Sqrt(max(0, squares/n-l.Mean*l.Mean))
	return l, true
}

// Taken says whether this is a look at all.
func (l Sample) Taken() bool { return len(l.points) > 0 }

// Black says whether next to nothing is to be seen.
func (l Sample) Black() bool { return l.Dark >= DarkShare }

// Changed counts the cells in which two looks differ at all; every cell when one of them is no look.
func (l Sample) Changed(o Sample) int {
	if len(l.points) != sampleWidth*sampleHeight || len(o.points) != sampleWidth*sampleHeight {
		return cellsWide * cellsHigh
	}
	var cells [cellsWide * cellsHigh]bool
	for i, v := range l.points {
		if v != o.points[i] {
			cells[i/sampleWidth/cellSide*cellsWide+i%sampleWidth/cellSide] = true
		}
	}
	n := 0
	for _, c := range cells {
		if c {
			n++
		}
	}
	return n
}

// Light is how bright it ought to be in front of a camera.
type Light uint8

// The kinds of light. A school knows when people are there and when the sun is certainly up; it does not know which
// cameras see by infra-red, which places have windows, and when the last lamp was switched off.
const (
	Night Light = iota // it may be dark
	Day                // the sun is up: dark is only a room without windows
	Lit                // school hours: people are there, and they see something
)

// Finding is what one observation says about one possible fault.
type Finding uint8

// The findings.
const (
	Unsure Finding = iota // says nothing
	Well
	Ill
)

// JudgeBlack says whether a picture ought not to be black. In school hours it must not. By day it may when the
// picture lives, which is the noise of a sensor in a dark room. By night black says nothing, neither good nor bad.
func JudgeBlack(l, before Sample, light Light) Finding {
	switch {
	case !l.Black():
		return Well
	case light == Lit, light == Day && before.Taken() && l.Changed(before) <= StillCells:
		return Ill
	}
	return Unsure
}

// JudgeFrozen says whether a picture is the one before over again, but for a clock that may run in it. Black pictures
// are left to JudgeBlack: a lens cap is no frozen camera.
func JudgeFrozen(l, before Sample) Finding {
	switch {
	case !before.Taken() || l.Black() || before.Black():
		return Unsure
	case l.Changed(before) <= StillCells:
		return Ill
	}
	return Well
}
