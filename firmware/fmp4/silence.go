package fmp4

// aacSilence is one access unit of AAC LC that says nothing, by the number of channels.
var aacSilence = [][]byte{
	1: {0x00, 0xc8, 0x00, 0x80, 0x23, 0x80},
	2: {0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80},
}

// Silence is a piece of sound for a track of AAC, Opus or FLAC made of G.711 in which nothing is heard, how many ticks
// it takes, and what is known of the sound; false where we know none.
func (t Track) Silence() (data []byte, ticks int64, a Audio, ok bool) {
	a = Audio{Rate: int(t.Scale), Channels: t.Channels}
	switch {
	case t.G711():
		a.Codec = t.Entry
		n := a.Rate / 50
		return flacSilence(n), int64(n), a, true
	case t.Channels < 1 || t.Channels > 2:
	case t.Entry == "mp4a":
		a.Codec = AAC
		return aacSilence[t.Channels], aacFrame, a, true
	case t.Entry == "Opus":
		a.Codec = Opus
		data = []byte{0xf8, 0xff, 0xfe} // 20 ms of the full band
		if t.Channels == 2 {
			data[0] = 0xfc
		}
		return data, a.Ticks(data), a, true
	}
	return nil, 0, a, false
}
