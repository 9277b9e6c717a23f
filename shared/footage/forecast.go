package footage

// Load is what one camera writes.
type Load struct {
	Camera      string
	BytesPerDay int64 // rolling, of the stream that it records now
	Days        int   // of its policy
	Estimated   bool  // not measured yet: counted with what its streams usually need
	Thin        bool  // it records its sub-stream
}

// Forecast is the arithmetic of a disk: what the cameras need against what there is.
type Forecast struct {
	Capacity int64 // for footage: size of the disk less the reserve
	PerDay   int64 // all cameras
	Held     int64 // kept by holds beyond the policies
	Need     int64 // Σ bytes/day × days + held; one day on top, because deletion follows the last frame
	Fits     bool
	// FullAt is the age that the oldest footage has when the disk is full, in days, counted from an empty
	// disk: "full at day 23.4". Zero when it fits.
	FullAt float64
}

// Predict does the arithmetic before a configuration is accepted and every day after (design §5: never early).
func Predict(loads []Load, held, capacity int64) Forecast {
	f := Forecast{Capacity: capacity, Held: held, Need: held}
	longest := 0
	for _, l := range loads {
		f.PerDay += l.BytesPerDay
		f.Need += l.BytesPerDay * int64(l.Days+1)
		longest = max(longest, l.Days+1)
	}
	if f.Fits = f.Need <= capacity; f.Fits {
		return f
	}
	// Fill day by day; a camera stops growing once its own days are reached.
	used := held
	for day := range longest {
		var grow int64
		for _, l := range loads {
			if day < l.Days+1 {
				grow += l.BytesPerDay
			}
		}
		if used+grow > capacity {
			if grow > 0 && capacity > used {
				f.FullAt = float64(day) + float64(capacity-used)/float64(grow)
			} else {
				f.FullAt = float64(day)
			}
			return f
		}
		used += grow
	}
	return f
}
