package footage

// Offer is a camera behind an NVR, with what its streams would write into our vault. A stream that the NVR does not
// describe is 0.
type Offer struct {
	Camera    string
	Main, Sub int64 // bytes a day
	Days      int
}

// StorageChoice is what may become of an offer.
type StorageChoice string

// The ways to keep a camera behind an NVR.
const (
	KeepMain StorageChoice = "main" // we record its main stream
	KeepSub  StorageChoice = "sub"  // we record its smaller stream
	KeepNVR  StorageChoice = "nvr"  // the NVR keeps it; we supervise
)

// Load is what an offer writes when it is kept so; ok is false when that cannot be, or is not known.
func (o Offer) Load(k StorageChoice) (l Load, ok bool) {
	l = Load{Camera: o.Camera, Days: o.Days}
	switch k {
	case KeepMain:
		l.BytesPerDay = o.Main
	case KeepSub:
		l.BytesPerDay = o.Sub
	case KeepNVR:
		return l, true
	}
	return l, l.BytesPerDay > 0
}

// Propose decides by arithmetic who keeps what: each camera in turn gets the best stream with which everything that is
// recorded already, and what was decided before it, still fits its days on the disk (design §4). Where the disk is not
// known nothing is recorded by us.
func Propose(present []Load, held, capacity int64, offers []Offer) []StorageChoice {
	loads := append([]Load(nil), present...)
	out := make([]StorageChoice, len(offers))
	for i, o := range offers {
		out[i] = KeepNVR
		for _, k := range []StorageChoice{KeepMain, KeepSub} {
			l, ok := o.Load(k)
			if ok && capacity > 0 && Predict(append(loads[:len(loads):len(loads)], l), held, capacity).Fits {
				out[i], loads = k, append(loads, l)
				break
			}
		}
	}
	return out
}

// PerDay is what a stream of a rate writes in a day.
func PerDay(kbps int) int64 { return int64(kbps) * 1000 / 8 * 86400 }
