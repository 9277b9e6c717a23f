package render

// The counter is 2 rows of 20 blocks near the lower edge: 32 bits of counter, most significant first, then 8 bits
// of check sum. In a 320×180 picture a block is one macroblock; other sizes scale.
const (
	cols, rows = 20, 2
	barTop     = 144 // of 180
	barCell    = 16  // of 180
	probeW     = 320 // the size at which pictures are read back
	probeH     = 180
)

// crc8 is the check sum (polynomial 0x07, start 0x5a so that an all-black bar is not a valid zero).
func crc8(v uint32) byte {
	c := byte(0x5a)
	for i := 3; i >= 0; i-- {
		c ^= byte(v >> (8 * i))
		for range 8 {
			if c&0x80 != 0 {
				c = c<<1 ^ 0x07
			} else {
				c <<= 1
			}
		}
	}
	return c
}

// cell is the rectangle of block i in a w×h picture.
func cell(i, w, h int) (x0, y0, x1, y1 int) {
	c, r := i%cols, i/cols
	return c * w / cols, (barTop + r*barCell) * h / probeH, (c + 1) * w / cols, (barTop + (r+1)*barCell) * h / probeH
}

func drawCounter(p *Picture, v uint32) {
	word := uint64(v)<<8 | uint64(crc8(v))
	for i := range cols * rows {
		c := colour{16, 128, 128}
		if word>>(cols*rows-1-i)&1 == 1 {
			c.y = 235
		}
		x0, y0, x1, y1 := cell(i, p.W, p.H)
		rect(p, x0, y0, x1-x0, y1-y0, c)
	}
}

// readCounter reads the blocks from a luma plane; ok is false when the check sum does not fit.
func readCounter(luma []byte, w, h int) (v uint32, ok bool) {
	var word uint64
	for i := range cols * rows {
		x0, y0, x1, y1 := cell(i, w, h)
		dx, dy := (x1-x0)/4, (y1-y0)/4 // the middle half: edges ring
		sum, n := 0, 0
		for y := y0 + dy; y < y1-dy; y++ {
			for x := x0 + dx; x < x1-dx; x++ {
				sum += int(luma[y*w+x])
				n++
			}
		}
		word <<= 1
		if sum > 126*n {
			word |= 1
		}
	}
	v = uint32(word >> 8)
	return v, crc8(v) == byte(word)
}
