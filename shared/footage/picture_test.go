package footage

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// stage makes the JPEGs that a camera would.
type stage struct {
	w, h    int
	light   float64 // 1: day; 0.02: a covered lens
	noise   float64 // standard deviation of the sensor's noise
	quality int
	grey    bool // infra-red
	clock   string
	sway    int // a tree moves by so many pixels
	seed    uint64
}

// normal is noise of standard deviation 1, to draw from: a picture takes a quarter of a million.
var normal = func() (out [4096]float64) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range out {
		out[i] = r.NormFloat64()
	}
	return out
}()

// picture is a school yard: sky, wall with windows, ground with a grid, grass with texture; the texture is frozen.
func (s stage) picture(t testing.TB) Sample {
	t.Helper()
	img := image.NewYCbCr(image.Rect(0, 0, s.w, s.h), image.YCbCrSubsampleRatio420)
	texture := rand.New(rand.NewPCG(7, 7))
	noise := rand.New(rand.NewPCG(s.seed, 99))
	for y := range s.h {
		for x := range s.w {
			u, v := float64(x)/float64(s.w), float64(y)/float64(s.h)
			l := 190 - 60*v
			switch {
			case v > 0.7:
				l = 90 + 25*texture.Float64()
			case v > 0.3 && u > 0.2 && u < 0.9:
				l = 140
				if int(u*40)%4 < 2 && int(v*30)%4 < 2 {
					l = 60
				}
			}
			if s.sway > 0 && v > 0.2 && math.Abs(u*float64(s.w)-0.1*float64(s.w)-float64(s.sway)) < 12 {
				l = 50
			}
			l = l*s.light + s.noise*normal[noise.Uint32()%uint32(len(normal))]
			img.Y[img.YOffset(x, y)] = uint8(max(0, min(255, math.Round(l))))
		}
	}
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = 128, 128
		if !s.grey {
			img.Cb[i], img.Cr[i] = 118, 133
		}
	}
	for i, c := range s.clock { // as the camera writes it: white strokes on the finished picture
		for k := range 7 {
			if (int(c)*37+11)>>k&1 == 1 {
				x, y, d := s.w*3/5+i*s.w/60, s.h/30+k*s.h/180, s.w/90
				for yy := y; yy < y+s.h/200+1; yy++ {
					for xx := x; xx < x+d && xx < s.w; xx++ {
						img.Y[img.YOffset(xx, yy)] = 235
					}
				}
			}
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: s.quality}); err != nil {
		t.Fatal(err)
	}
	got, err := jpeg.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	l, ok := Measure(got)
	if !ok {
		t.Fatal("the picture is too small")
	}
	return l
}

func clockText(n int) string {
	return time.Unix(int64(1763762000+n), 0).UTC().Format("2006-01-02 15:04:05")
}

// Covers F1: a still scene is no frozen picture, at any size and compression, by day, by night and by infra-red; a
// frozen one is, although its clock runs.
func TestAStillSceneIsNotFrozen(t *testing.T) {
	for _, size := range []struct{ w, h int }{{352, 288}, {640, 360}} {
		for _, quality := range []int{30, 75, 92} {
			for _, noise := range []float64{0.7, 2.5} {
				for _, night := range []bool{false, true} {
					s := stage{w: size.w, h: size.h, light: 1, noise: noise, quality: quality, clock: clockText(0), seed: 1}
					if night { // infra-red: darker, grey, and noisier, as the amplifier is
						s.light, s.grey, s.noise = 0.4, true, 2*noise
					}
					name := fmt.Sprintf("%d×%d quality %d noise %.1f night %v", s.w, s.h, quality, noise, night)
					before := s.picture(t)
					s.seed, s.clock = 2, clockText(307)
					live := s.picture(t)
					if n := live.Changed(before); JudgeFrozen(live, before) != Well || n < 2*StillCells {
						t.Errorf("%s: a still scene changed %d cells", name, n)
					}
					s.seed = 1
					frozen := s.picture(t)
					if n := frozen.Changed(before); JudgeFrozen(frozen, before) != Ill || n == 0 {
						t.Errorf("%s: frozen, with a clock that runs, changed %d cells", name, n)
					}
				}
			}
		}
	}
}

// Something that moves is not frozen, however small its share of the picture, because the noise is everywhere.
func TestAMovingTreeIsNotFrozen(t *testing.T) {
	s := stage{w: 640, h: 360, light: 1, noise: 1, quality: 50, seed: 1}
	before := s.picture(t)
	s.sway, s.seed = 20, 2
	if got := s.picture(t); JudgeFrozen(got, before) != Well {
		t.Errorf("%d cells changed", got.Changed(before))
	}
}

// Covers F1: black is a fault when people are there; by day it may be a dark room, whose sensor has noise; by night it
// says nothing. A dusk, an infra-red picture and one lamp in the night are not black.
func TestBlackIsJudgedByTheHour(t *testing.T) {
	covered := stage{w: 640, h: 360, light: 0.02, noise: 3, quality: 60, clock: clockText(0), seed: 1}
	dead := stage{w: 640, h: 360, light: 0, quality: 60, clock: clockText(0)}
	second := func(s stage) stage { s.seed++; s.clock = clockText(300); return s }
	for name, x := range map[string]struct {
		s     stage
		light Light
		want  Finding
	}{
		"lens cap in school hours":     {covered, Lit, Ill},
		"lens cap in the holidays":     {covered, Day, Unsure},
		"lens cap at night":            {covered, Night, Unsure},
		"dead sensor in school hours":  {dead, Lit, Ill},
		"dead sensor in the holidays":  {dead, Day, Ill},
		"dead sensor at night":         {dead, Night, Unsure},
		"dusk":                         {stage{w: 640, h: 360, light: 0.3, noise: 4, quality: 60, seed: 1}, Lit, Well},
		"infra-red at night":           {stage{w: 640, h: 360, light: 0.35, noise: 5, quality: 60, grey: true, seed: 1}, Night, Well},
		"the yard in school hours":     {stage{w: 640, h: 360, light: 1, noise: 1, quality: 60, seed: 1}, Lit, Well},
		"black is not frozen, dead":    {dead, Night, Unsure},
		"black is not frozen, covered": {covered, Night, Unsure},
	} {
		before, now := x.s.picture(t), second(x.s).picture(t)
		if got := JudgeBlack(now, before, x.light); got != x.want {
			t.Errorf("%s: %d, want %d; dark %.3f, mean %.1f, %d cells changed", name, got, x.want, now.Dark, now.Mean, now.Changed(before))
		}
		if now.Black() && JudgeFrozen(now, before) != Unsure {
			t.Errorf("%s: judged frozen too", name)
		}
	}
	lamp := image.NewGray(image.Rect(0, 0, 1280, 720))
	draw.Draw(lamp, image.Rect(600, 300, 900, 520), image.NewUniform(color.Gray{200}), image.Point{}, draw.Src)
	if l, _ := Measure(lamp); l.Black() {
		t.Error("a lamp in the night is black")
	}
	first := covered.picture(t)
	if JudgeBlack(dead.picture(t), Sample{}, Day) != Unsure || JudgeFrozen(first, Sample{}) != Unsure {
		t.Error("the first picture was compared with nothing")
	}
}

// Pictures of other kinds and sizes are measured alike; what is too small is not judged.
func TestMeasure(t *testing.T) {
	rgba := image.NewRGBA(image.Rect(3, 5, 643, 365))
	draw.Draw(rgba, rgba.Bounds(), image.NewUniform(color.Gray{77}), image.Point{}, draw.Src)
	grey := image.NewGray(image.Rect(0, 0, 100, 100))
	draw.Draw(grey, grey.Bounds(), image.NewUniform(color.Gray{77}), image.Point{}, draw.Src)
	a, okA := Measure(rgba)
	b, okB := Measure(grey)
	if !okA || !okB || a.Mean != 77 || a.Deviation != 0 || a.Changed(b) != 0 {
		t.Errorf("%v %v, mean %.1f, %d cells", okA, okB, a.Mean, a.Changed(b))
	}
	if _, ok := Measure(image.NewGray(image.Rect(0, 0, 31, 18))); ok {
		t.Error("a stamp was judged")
	}
}

// Covers F1: a clock is wrong beyond a minute and right within half of one; a clock that cannot name its zone is not
// blamed for it.
func TestJudgeClock(t *testing.T) {
	for _, x := range []struct {
		offset, unsure time.Duration
		zoneless       bool
		want           Finding
	}{
		{0, time.Second, false, Well},
		{-29 * time.Second, time.Second, false, Well},
		{-45 * time.Second, time.Second, false, Unsure},
		{61 * time.Second, time.Second, false, Unsure},
		{62 * time.Second, time.Second, false, Ill},
		{8 * time.Hour, time.Second, false, Ill},
		{8*time.Hour + 3*time.Second, time.Second, true, Well},
		{8*time.Hour - 3*time.Minute, time.Second, true, Ill},
		{-(5*time.Hour + 45*time.Minute), time.Second, true, Well},
		{24 * time.Hour, time.Second, true, Ill},
		{-365 * 24 * time.Hour, time.Second, true, Ill},
		{50 * time.Second, 5 * time.Minute, false, Unsure},
	} {
		if got := JudgeClock(x.offset, x.unsure, x.zoneless); got != x.want {
			t.Errorf("%v ± %v, zoneless %v: %d, want %d", x.offset, x.unsure, x.zoneless, got, x.want)
		}
	}
}
