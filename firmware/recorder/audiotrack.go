package recorder

import (
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"

	"campuskeep/firmware/fmp4"
)

// audioTrack is the audio that a camera offers.
type audioTrack struct {
	media  *description.Media
	format format.Format
	audio  fmp4.Audio
	decode func(*rtp.Packet) ([][]byte, error)
}

// errAudio is a session that broke because the camera was asked for its audio.
type errAudio struct{ error }

// selectAudio chooses the audio to ask the camera for. Audio that nobody decided to record is not asked for, so that
// not a byte of it crosses the network; nor is audio that the camera has refused.
func (f *feed) selectAudio(cam Camera, desc *description.Session) *audioTrack {
	if !cam.Sound || f.audioRefused {
		return nil
	}
	return findAudio(desc)
}

// findAudio returns the first audio that can be kept; nil when there is none. A back channel, which plays to the
// camera, is not its audio.
func findAudio(desc *description.Session) *audioTrack {
	for _, m := range desc.Medias {
		if m.IsBackChannel {
			continue
		}
		for _, f := range m.Formats {
			e := &audioTrack{media: m, format: f}
			if e.initDecoder() && e.audio.Usable() {
				return e
			}
		}
	}
	return nil
}

func (e *audioTrack) initDecoder() bool {
	switch f := e.format.(type) {
	case *format.MPEG4Audio:
		if f.Config == nil {
			return false
		}
		d, err := f.CreateDecoder()
		if err != nil {
			return false
		}
		e.audio, e.decode = aac(*f.Config), d.Decode
	case *format.MPEG4AudioLATM:
		if f.CPresent { // says what it is in every packet or so: no camera is known that does
			return false
		}
		d, err := f.CreateDecoder()
		if err != nil {
			return false
		}
		config := f.StreamMuxConfig
		e.audio = aac(*config.Programs[0].Layers[0].AudioSpecificConfig)
		e.decode = func(pkt *rtp.Packet) ([][]byte, error) {
			b, err := d.Decode(pkt)
			if err != nil {
				return nil, err
			}
			return unpack(b, config)
		}
	case *format.Opus:
		d, err := f.CreateDecoder()
		if err != nil {
			return false
		}
		e.audio = fmp4.Audio{Codec: fmp4.Opus, Rate: f.ClockRate(), Channels: f.ChannelCount}
		e.decode = one(d.Decode)
	case *format.G711:
		d, err := f.CreateDecoder()
		if err != nil {
			return false
		}
		e.audio = fmp4.Audio{Codec: fmp4.ALaw, Rate: f.SampleRate, Channels: f.ChannelCount}
		if f.MULaw {
			e.audio.Codec = fmp4.MuLaw
		}
		e.decode = one(d.Decode)
	default:
		return false
	}
	return true
}

func aac(c mpeg4audio.AudioSpecificConfig) fmp4.Audio {
	channels := int(c.ChannelConfig)
	if channels == 7 {
		channels = 8
	}
	return fmp4.Audio{Codec: fmp4.AAC, Rate: c.SampleRate, Channels: channels, AAC: c}
}

// unpack takes the access units of the first program out of a LATM element.
func unpack(b []byte, config *mpeg4audio.StreamMuxConfig) ([][]byte, error) {
	e := mpeg4audio.AudioMuxElement{StreamMuxConfig: config}
	if err := e.Unmarshal(b); err != nil {
		return nil, err
	}
	var out [][]byte
	for _, sub := range e.Payloads {
		if len(sub) > 0 && len(sub[0]) > 0 {
			out = append(out, sub[0][0])
		}
	}
	return out, nil
}

// one is a decoder whose packets hold one piece of sound each.
func one(decode func(*rtp.Packet) ([]byte, error)) func(*rtp.Packet) ([][]byte, error) {
	return func(pkt *rtp.Packet) ([][]byte, error) {
		b, err := decode(pkt)
		if err != nil {
			return nil, err
		}
		return [][]byte{b}, nil
	}
}

// takeAudio takes a packet of audio. An error in it does not affect the pictures.
func (f *feed) takeAudio(e *audioTrack, pkt *rtp.Packet) {
	pieces, err := e.decode(pkt)
	if err != nil || len(pieces) == 0 {
		return
	}
	now := f.r.o.Clock.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mux.used != nil { // before the first picture there is no audio
		f.mux.sound.take(pieces, pkt.Timestamp, now.Mono)
	}
}
