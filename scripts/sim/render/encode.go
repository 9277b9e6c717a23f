package render

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// Coding says how pictures are encoded. Zero fields take the value in brackets.
type Coding struct {
	W, H    int
	FPS     string // frames a second, also as a fraction "1/2" ["10"]
	Codec   string // "h264" or "h265" ["h264"]
	GOP     int    // frames from key frame to key frame [20]
	Kbps    int    // constant bit rate; 0: constant quality CRF
	CRF     int    // [28]
	BFrames int
	Preset  string // ["ultrafast"]
}

func (c Coding) args() []string {
	or := func(s, d string) string {
		if s == "" {
			return d
		}
		return s
	}
	gop, crf := c.GOP, c.CRF
	if gop == 0 {
		gop = 20
	}
	if crf == 0 {
		crf = 28
	}
	a := []string{
		"-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", fmt.Sprintf("%dx%d", c.W, c.H),
		"-r", or(c.FPS, "10"), "-i", "-", "-preset", or(c.Preset, "ultrafast"), "-threads", "1",
	}
	params := fmt.Sprintf("aud=1:keyint=%d:min-keyint=%d:scenecut=0:repeat-headers=1:bframes=%d", gop, gop, c.BFrames)
	if c.BFrames == 0 {
		a = append(a, "-tune", "zerolatency")
	} else {
		params += ":b-adapt=0:b-pyramid=0" // the same order in every group
	}
	if c.Kbps > 0 {
		a = append(a, "-b:v", strconv.Itoa(c.Kbps)+"k", "-maxrate", strconv.Itoa(c.Kbps)+"k", "-bufsize", strconv.Itoa(c.Kbps)+"k")
		params += ":nal-hrd=cbr:filler=1"
	} else {
		a = append(a, "-crf", strconv.Itoa(crf))
	}
	if c.Codec == "h265" {
		params = strings.ReplaceAll(params, ":nal-hrd=cbr:filler=1", "")
		return append(a, "-c:v", "libx265", "-x265-params", params+":open-gop=0:log-level=error:pools=1", "-f", "hevc", "-")
	}
	return append(a, "-c:v", "libx264", "-x264-params", params+":sliced-threads=0", "-f", "h264", "-")
}

// Encoder is one ffmpeg that turns pictures into access units.
type Encoder struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	said bytes.Buffer
	done chan error // the reading side's end
}

// NewEncoder starts ffmpeg. Each access unit goes to emit, in coding order, from a goroutine of the encoder; an
// access unit is known to be whole when the next one starts, so the last comes with Close.
func NewEncoder(ctx context.Context, c Coding, emit func(au [][]byte)) (*Encoder, error) {
	e := &Encoder{cmd: exec.CommandContext(ctx, "ffmpeg", c.args()...), done: make(chan error, 1)}
	e.cmd.Stderr = &e.said
	in, err := e.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("scene: pipe to ffmpeg: %w", err)
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("scene: pipe from ffmpeg: %w", err)
	}
	if err := e.cmd.Start(); err != nil {
		return nil, fmt.Errorf("scene: start ffmpeg: %w", err)
	}
	e.in = in
	go func() { e.done <- split(out, c.Codec == "h265", emit) }()
	return e, nil
}

// Frame encodes one picture.
func (e *Encoder) Frame(p *Picture) error {
	if _, err := e.in.Write(p.Pix); err != nil {
		return fmt.Errorf("scene: write picture: %w", err)
	}
	return nil
}

// Close ends the stream, waits for the last access unit and for ffmpeg.
func (e *Encoder) Close() error {
	closeErr := e.in.Close()
	readErr := <-e.done
	if err := e.cmd.Wait(); err != nil {
		return fmt.Errorf("scene: ffmpeg: %w: %s", err, strings.TrimSpace(e.said.String()))
	}
	if readErr != nil {
		return fmt.Errorf("scene: read access units: %w", readErr)
	}
	return closeErr
}

// split cuts an Annex-B stream into access units at the delimiters.
func split(r io.Reader, h265 bool, emit func([][]byte)) error {
	var buf []byte
	chunk := make([]byte, 64<<10)
	for {
		n, err := r.Read(chunk)
		buf = append(buf, chunk[:n]...)
		for {
			next := delimiter(buf, 5, h265)
			if next < 0 {
				break
			}
			emit(units(buf[:next]))
			buf = append([]byte(nil), buf[next:]...)
		}
		if err == io.EOF {
			if len(buf) > 0 {
				emit(units(buf))
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// delimiter finds the start code of the next access unit delimiter at or after from.
func delimiter(b []byte, from int, h265 bool) int {
	for i := from; ; {
		if i >= len(b) {
			return -1
		}
		j := bytes.Index(b[i:], []byte{0, 0, 1})
		if j < 0 || i+j+3 >= len(b) {
			return -1
		}
		at := i + j
		head := b[at+3]
		if (!h265 && head&0x1f == 9) || (h265 && head>>1&0x3f == 35) {
			if at > 0 && b[at-1] == 0 {
				at--
			}
			return at
		}
		i = at + 3
	}
}

// units gives the NAL units of one access unit, without start codes and trailing zeros.
func units(b []byte) [][]byte {
	var out [][]byte
	for {
		i := bytes.Index(b, []byte{0, 0, 1})
		if i < 0 {
			return out
		}
		b = b[i+3:]
		end := bytes.Index(b, []byte{0, 0, 1})
		if end < 0 {
			end = len(b)
		}
		if nal := bytes.TrimRight(b[:end], "\x00"); len(nal) > 0 {
			out = append(out, bytes.Clone(nal))
		}
		b = b[end:]
	}
}
