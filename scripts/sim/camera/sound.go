package camera

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"
)

// audioFaults is how the audio of a camera misbehaves, and how far it has been sent. Guarded by the camera's
// lock.
type audioFaults struct {
	start   time.Time
	next    int // piece
	silent  bool
	refused bool
	asked   int // how often somebody set it up
	garbage int
	step    int64 // ticks by which its clock is wrong
	skew    int64 // ticks of a thousand by which its clock runs fast
	seq     uint16
}

// SetSilent stops the sound, or lets it go on.
func (c *Camera) SetSilent(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.audio.silent = on
}

// RefuseSound answers that there is no sound when it is asked for, though the description offers it.
func (c *Camera) RefuseSound() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.audio.refused = true
}

// SoundAsked is how often a client asked for the sound.
func (c *Camera) SoundAsked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.audio.asked
}

// GarbageSound sends nonsense instead of the next packets of sound.
func (c *Camera) GarbageSound(packets int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.audio.garbage = packets
}

// StepSound makes the clock of the sound, and only that, jump.
func (c *Camera) StepSound(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.audio.step += int64(by) * int64(c.sound.Rate) / int64(time.Second)
}

// SkewSound makes the clock of the sound run fast by so many parts in a thousand.
func (c *Camera) SkewSound(perMille int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.audio.skew = int64(perMille)
}

// startTime is when the camera began: second 0 of pictures and sound.
func (c *Camera) startTime() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.audio.start = time.Now()
	return c.audio.start
}

// sendAudio sends the pieces of sound that are due.
func (c *Camera) sendAudio(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := &c.audio
	if c.sound.Pieces == nil {
		return
	}
	due := int(now.Sub(m.start) * time.Duration(c.sound.Rate) / time.Second / time.Duration(c.sound.Ticks))
	for ; m.next < due; m.next++ {
		if f := c.server; f != nil && !m.silent {
			f.writeAudio(c, c.sound.Pieces[m.next%len(c.sound.Pieces)], now)
		}
	}
}

func (f *server) describeSound() {
	s := f.c.sound
	config := mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: s.Rate, ChannelConfig: 1}
	var x format.Format
	switch f.c.o.Sound {
	case "aac":
		x = &format.MPEG4Audio{PayloadTyp: 97, Config: &config, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3}
	case "latm":
		x = &format.MPEG4AudioLATM{PayloadTyp: 97, ProfileLevelID: 30, StreamMuxConfig: &mpeg4audio.StreamMuxConfig{
			Programs: []*mpeg4audio.StreamMuxConfigProgram{{Layers: []*mpeg4audio.StreamMuxConfigLayer{{AudioSpecificConfig: &config, LatmBufferFullness: 255}}}},
		}}
	case "opus":
		x = &format.Opus{PayloadTyp: 97, ChannelCount: 1}
	default:
		g := &format.G711{PayloadTyp: 8, SampleRate: s.Rate, ChannelCount: 1, MULaw: f.c.o.Sound == "ulaw"}
		if g.MULaw {
			g.PayloadTyp = 0
		}
		x = g
	}
	f.audioMedia = &description.Media{Type: description.MediaTypeAudio, Formats: []format.Format{x}}
}

// writeAudio sends one piece of sound; the caller holds the camera's lock.
func (f *server) writeAudio(c *Camera, data []byte, at time.Time) {
	m := &c.audio
	ticks := int64(m.next) * int64(c.sound.Ticks)
	m.seq++
	p := &rtp.Packet{
		Header: rtp.Header{
			Version: 2, Marker: true, PayloadType: f.audioMedia.Formats[0].PayloadType(), SequenceNumber: m.seq, SSRC: 0x53000000,
			Timestamp: f.soundBase + uint32(ticks+ticks*m.skew/1000+m.step),
		},
		Payload: data,
	}
	switch c.o.Sound {
	case "aac": // one access unit behind its size
		p.Payload = append(binary.BigEndian.AppendUint16([]byte{0, 16}, uint16(len(data)<<3)), data...)
	case "latm": // the size in bytes of 255, then the rest
		var head []byte
		n := len(data)
		for ; n >= 255; n -= 255 {
			head = append(head, 255)
		}
		p.Payload = append(append(head, byte(n)), data...)
	}
	if m.garbage > 0 {
		m.garbage--
		p = nonsense(p)
	}
	_ = f.stream.WritePacketRTPWithNTP(f.audioMedia, p, at) // as with pictures
}

// nonsense is a well-formed RTP packet with a random payload and random times.
func nonsense(p *rtp.Packet) *rtp.Packet {
	q := *p
	q.Payload = make([]byte, 1+rand.IntN(200))
	for i := range q.Payload {
		q.Payload[i] = byte(rand.Uint32())
	}
	q.Timestamp = rand.Uint32()
	return &q
}
