package render

// kinds is how many different places there are to look at.
const kinds = 4

// paint draws the still background. Coordinates are in hundredths of width and height.
func paint(p *Picture, kind, tint int, l float64) {
	X := func(n int) int { return p.W * n / 100 }
	Y := func(n int) int { return p.H * n / 100 }
	box := func(x, y, w, h int, c colour) { rect(p, X(x), Y(y), X(w), Y(h), c.lit(l)) }
	sky := colour{byte(170 + tint), 140, 112}
	grass := colour{byte(95 + tint), 105, 110}
	wall := colour{byte(140 + tint), 118, 138}
	stone := colour{120, 128, 128}

	box(0, 0, 100, 100, grass)
	box(0, 0, 100, 32, sky)
	switch kind {
	case 0: // the gate: two posts, bars, a road
		box(0, 34, 100, 12, wall)
		rect(p, X(30), Y(44), X(40), Y(56), stone.lit(l))
		for i := range 8 {
			box(32+i*5, 30, 1, 18, colour{60, 128, 128})
		}
		box(27, 22, 4, 28, wall)
		box(69, 22, 4, 28, wall)
		box(78, 36, 14, 16, colour{180, 120, 140}) // the gatehouse
		box(81, 40, 4, 5, colour{220, 90, 140})
	case 1: // the playground: a track, a goal
		disc(p, X(50), Y(58), X(42), Y(18), colour{110, 110, 170}.lit(l))
		disc(p, X(50), Y(58), X(32), Y(12), grass.lit(l))
		box(15, 50, 1, 14, colour{225, 128, 128})
		box(84, 50, 1, 14, colour{225, 128, 128})
		box(5, 20, 24, 14, wall)
	case 2: // the bicycle shed: a roof on posts, wheels below
		box(10, 28, 80, 6, colour{90, 150, 110})
		for i := range 5 {
			box(12+i*18, 34, 1, 26, stone)
		}
		for i := range 9 {
			disc(p, X(16+i*8), Y(58), max(X(3), 2), max(Y(5), 2), colour{50, 128, 128}.lit(l))
			disc(p, X(16+i*8), Y(58), max(X(2), 1), max(Y(4), 1), grass.lit(l))
		}
	case 3: // a corridor: floor, access paths
		box(0, 0, 100, 70, wall)
		box(0, 70, 100, 30, stone)
		for i := range 4 {
			box(8+i*24, 25, 12, 45, colour{90, 110, 150})
		}
	}
}
