package render

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
)

// Sound is eight seconds of sound, ready to be sent again and again: a beep of 100 ms at the beginning of every
// second, silence else.
type Sound struct {
	Codec  string // "aac", "opus", "alaw", "ulaw"
	Rate   int
	Ticks  int // of one piece
	Pieces [][]byte
}

const soundSeconds = 8

var sounds = struct {
	mu  sync.Mutex
	all map[string]Sound
}{all: map[string]Sound{}}

// NewSound encodes it with ffmpeg, in mono, once for each codec.
func NewSound(ctx context.Context, codec string) (Sound, error) {
	sounds.mu.Lock()
	defer sounds.mu.Unlock()
	if s, ok := sounds.all[codec]; ok {
		return s, nil
	}
	s, err := encodeSound(ctx, codec)
	if err == nil {
		sounds.all[codec] = s
	}
	return s, err
}

func encodeSound(ctx context.Context, codec string) (Sound, error) {
	s := Sound{Codec: codec, Rate: 8000, Ticks: 160}
	encode := []string{"-c:a", "pcm_" + codec, "-f", codec}
	switch codec {
	case "aac":
		s.Rate, s.Ticks = 16000, 1024
		encode = []string{"-c:a", "aac", "-b:a", "32k"}
	case "opus":
		s.Rate, s.Ticks = 48000, 960
		encode = []string{"-c:a", "libopus", "-b:a", "32k", "-strict", "experimental"}
	case "ulaw":
		encode = []string{"-c:a", "pcm_mulaw", "-f", "mulaw"}
	}
	whole := codec == "aac" || codec == "opus"
	if whole {
		encode = append(encode, "-f", "mp4", "-movflags", "empty_moov+default_base_moof", "-frag_duration", "1000000000")
	}
	args := []string{"-v", "error", "-nostdin", "-f", "lavfi", "-i",
		fmt.Sprintf("aevalsrc='if(lt(mod(t,1),0.1),0.5*sin(2*PI*1000*t),0)':s=%d:d=%d", s.Rate, soundSeconds), "-ac", "1"}
	cmd := exec.CommandContext(ctx, "ffmpeg", append(append(args, encode...), "-")...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return s, fmt.Errorf("scene: encode %s: %w: %s", codec, err, strings.TrimSpace(said.String()))
	}
	if !whole {
		for ; len(out) >= s.Ticks; out = out[s.Ticks:] {
			s.Pieces = append(s.Pieces, out[:s.Ticks])
		}
		return s, nil
	}
	at := bytes.Index(out, []byte("moof"))
	end := bytes.Index(out, []byte("mfra"))
	if at < 4 || end < at {
		return s, fmt.Errorf("scene: encode %s: no fragments", codec)
	}
	var parts fmp4.Parts
	if err := parts.Unmarshal(out[at-4 : end-4]); err != nil {
		return s, fmt.Errorf("scene: encode %s: %w", codec, err)
	}
	for _, p := range parts {
		for _, x := range p.Tracks[0].Samples {
			if len(s.Pieces) < soundSeconds*s.Rate/s.Ticks {
				s.Pieces = append(s.Pieces, x.Payload)
			}
		}
	}
	return s, nil
}

// Beeps decodes the sound of a file with ffmpeg and gives the moments at which beeps begin. Where the file has no
// sound there is silence. An error of ffmpeg comes with what was heard before it.
func Beeps(ctx context.Context, in io.Reader, options ...string) ([]time.Duration, error) {
	const rate, window = 8000, 40 // 5 ms
	args := append([]string{"-v", "error", "-nostdin"}, options...)
	args = append(args, "-i", "-", "-map", "0:a:0", "-af", fmt.Sprintf("aresample=%d:async=1:min_hard_comp=0.01:first_pts=0", rate), "-ac", "1", "-f", "s16le", "-")
	cmd := exec.CommandContext(ctx, "ffmpeg", args...)
	cmd.Stdin = in
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if strings.Contains(said.String(), "matches no streams") {
		return nil, nil
	}
	if err != nil {
		err = fmt.Errorf("scene: decode sound: %w: %s", err, strings.TrimSpace(said.String()))
	}
	var beeps []time.Duration
	quiet := 20 // windows since the last loud one; beeps are further apart than that
	for i := 0; i+2*window <= len(out); i += 2 * window {
		loud := 0
		for k := i; k < i+2*window; k += 2 {
			if v := int16(binary.LittleEndian.Uint16(out[k:])); v > 3000 || v < -3000 {
				loud++
			}
		}
		switch {
		case loud > window/8 && quiet >= 20:
			beeps = append(beeps, time.Duration(i/2)*time.Second/rate)
			quiet = 0
		case loud > window/8:
			quiet = 0
		default:
			quiet++
		}
	}
	return beeps, err
}
