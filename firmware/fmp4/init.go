package fmp4

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
)

// Codecs of sound.
const (
	AAC   = "aac"
	Opus  = "opus"
	ALaw  = "alaw" // G.711
	MuLaw = "ulaw"
)

// Audio is a stream of sound.
type Audio struct {
	Codec    string
	Rate     int // samples a second; also the ticks of its track
	Channels int
	AAC      mpeg4audio.AudioSpecificConfig
}

// Equal says whether one initialisation section serves both.
func (a Audio) Equal(o Audio) bool { return a == o }

// Usable says whether sound like this can be kept in a file.
func (a Audio) Usable() bool {
	switch a.Codec {
	case AAC:
		return a.AAC.Type == mpeg4audio.ObjectTypeAACLC && a.Rate >= 8000 && a.Rate <= 96000 && a.Channels > 0
	case Opus:
		return a.Rate == 48000 && (a.Channels == 1 || a.Channels == 2)
	case ALaw, MuLaw:
		return a.Rate >= 8000 && a.Rate <= 48000 && (a.Channels == 1 || a.Channels == 2)
	}
	return false
}

// Ticks is how long a piece of sound lasts; 0 when it is none.
func (a Audio) Ticks(data []byte) int64 {
	if len(data) == 0 {
		return 0
	}
	switch a.Codec {
	case AAC:
		return aacFrame
	case Opus:
		return opus.PacketDuration2(data)
	}
	return int64(len(data) / a.Channels)
}

// aacFrame is how many samples an access unit of AAC has.
const aacFrame = 1024

func (a Audio) codec() codecs.Codec {
	switch a.Codec {
	case AAC:
		return &codecs.MPEG4Audio{Config: a.AAC}
	case Opus:
		return &codecs.Opus{ChannelCount: a.Channels}
	}
	return &codecs.LPCM{BitDepth: 16, SampleRate: a.Rate, ChannelCount: a.Channels}
}

// Init writes the initialisation section of pictures and, unless it is nil, sound.
func Init(v Video, a *Audio) ([]byte, error) {
	if !v.Complete() {
		return nil, errors.New("initialisation section: parameter sets are missing")
	}
	init := fmp4.Init{Tracks: []*fmp4.InitTrack{{ID: VideoTrack, TimeScale: ClockRate, Codec: v.codec()}}}
	if a != nil {
		init.Tracks = append(init.Tracks, &fmp4.InitTrack{ID: AudioTrack, TimeScale: uint32(a.Rate), Codec: a.codec()})
	}
	var buf seekablebuffer.Buffer
	if err := init.Marshal(&buf); err != nil {
		return nil, fmt.Errorf("initialisation section: %w", err)
	}
	if a != nil && (a.Codec == ALaw || a.Codec == MuLaw) {
		return relabel(buf.Bytes(), a.Codec)
	}
	return buf.Bytes(), nil
}

// relabel turns the linear samples that the library can describe into G.711, whose description differs in nothing but
// its name; what only linear samples have becomes free space.
func relabel(init []byte, name string) ([]byte, error) {
	var err error
	init = bytes.Clone(init)
	done := false
	for stsd := range inside(init, &err, "moov", "trak", "mdia", "minf", "stbl", "stsd") {
		c := stsd.content()
		if len(c) < 8 {
			return nil, ErrForm
		}
		for entry := range boxes(c[8:], &err) {
			const fixed = 28 // bytes of a sample entry of sound, before its boxes
			if entry.name != "ipcm" || len(entry.content()) < fixed {
				continue
			}
			copy(entry.all[4:], name)
			for x := range boxes(entry.content()[fixed:], &err) {
				if x.name == "pcmC" {
					copy(x.all[4:], "free")
					done = true
				}
			}
		}
	}
	if err == nil && !done {
		err = ErrForm
	}
	return init, err
}
