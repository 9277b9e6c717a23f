// Package render draws the pictures of simulated cameras and reads them back.
//
// It makes a still schoolyard per camera, brighter by day than by night, with a clock in the corner and a frame
// counter of black and white blocks that survives H.264 at a low rate; it encodes through ffmpeg and decodes
// counters from any file or address that ffmpeg can open. It owns the ffmpeg processes it starts and must never be
// imported by the product: it replaces glass and light.
package render

import (
	"hash/fnv"
	"math"
	"time"
)

// Picture is one frame as planar YUV 4:2:0. Width and height are even.
type Picture struct {
	W, H int
	Pix  []byte // Y plane, then U, then V
}

// View is one camera's view. It is not safe for concurrent use.
type View struct {
	w, h  int
	kind  int
	tint  int
	still bool
	hour  int // hour of the background in back, −1 when there is none
	back  []byte
	out   Picture
}

// New makes the view of the named camera. A still scene has no walking figure, so that it compresses to almost
// nothing.
func New(camera string, w, h int, still bool) *View {
	f := fnv.New32a()
	f.Write([]byte(camera)) // a hash never fails
	sum := f.Sum32()
	kind := int(sum % kinds)
	// The usual names c01, c02, c03 get three different places in order.
	if n := len(camera); n > 0 && camera[n-1] >= '0' && camera[n-1] <= '9' {
		kind = int(camera[n-1]-'0'+kinds-1) % kinds
	}
	size := w * h * 3 / 2
	return &View{
		w: w, h: h, kind: kind, tint: int(sum>>8) % 24, still: still, hour: -1,
		back: make([]byte, size), out: Picture{W: w, H: h, Pix: make([]byte, size)},
	}
}

// Draw gives the picture at the instant, with this counter. The result is valid until the next call.
func (s *View) Draw(at time.Time, counter uint32) *Picture {
	s.ground(at.Hour())
	if !s.still {
		s.walker(counter)
	}
	s.text(at.Format("2006-01-02 15:04:05"))
	drawCounter(&s.out, counter)
	return &s.out
}

// DrawHour gives a picture that fits any minute of the hour: the clock shows the hour and the second only.
func (s *View) DrawHour(hour, second int, counter uint32) *Picture {
	s.ground(hour)
	at := time.Date(2000, 1, 1, hour, 0, second, 0, time.UTC)
	s.text(at.Format("15:--:05"))
	drawCounter(&s.out, counter)
	return &s.out
}

func (s *View) ground(hour int) {
	if s.hour != hour {
		s.hour = hour
		p := Picture{W: s.w, H: s.h, Pix: s.back}
		paint(&p, s.kind, s.tint, light(hour))
	}
	copy(s.out.Pix, s.back)
}

// light is the brightness of the hour, 0.3 at night to 1 at noon.
func light(hour int) float64 {
	return 0.3 + 0.7*math.Max(0, math.Sin(float64(hour-5)/14*math.Pi))
}

// walker is a figure that crosses the yard once a minute or so.
func (s *View) walker(counter uint32) {
	span := s.w * 3 / 4
	pos := int(counter/2) % (2 * span)
	if pos > span {
		pos = 2*span - pos
	}
	x, y, u := s.w/8+pos, s.h*60/100, max(s.h/60, 2)
	rect(&s.out, x, y, 2*u, 5*u, colour{60, 110, 160})
	rect(&s.out, x, y-2*u, 2*u, 2*u, colour{150, 110, 150})
}

type colour struct{ y, u, v byte }

func (c colour) lit(l float64) colour {
	c.y = byte(16 + float64(c.y-16)*l)
	return c
}

// rect fills a rectangle, cut to the picture.
func rect(p *Picture, x, y, w, h int, c colour) {
	x0, y0, x1, y1 := max(x, 0), max(y, 0), min(x+w, p.W), min(y+h, p.H)
	for j := y0; j < y1; j++ {
		for i := x0; i < x1; i++ {
			p.Pix[j*p.W+i] = c.y
		}
	}
	chromaRect(p, x0/2, y0/2, (x1+1)/2, (y1+1)/2, c)
}

func chromaRect(p *Picture, x0, y0, x1, y1 int, c colour) {
	cw, ch := p.W/2, p.H/2
	u := p.Pix[p.W*p.H:]
	v := u[cw*ch:]
	for j := y0; j < min(y1, ch); j++ {
		for i := x0; i < min(x1, cw); i++ {
			u[j*cw+i], v[j*cw+i] = c.u, c.v
		}
	}
}

// disc fills an ellipse.
func disc(p *Picture, cx, cy, rx, ry int, c colour) {
	for j := -ry; j <= ry; j++ {
		half := int(float64(rx) * math.Sqrt(1-float64(j*j)/float64(ry*ry)))
		rect(p, cx-half, cy+j, 2*half, 1, c)
	}
}
