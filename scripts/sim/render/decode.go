package render

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Seen is the counter of one decoded frame. OK is false when the picture was too damaged to read it.
type Seen struct {
	Counter uint32
	OK      bool
}

// Decode opens the input with ffmpeg (a file, an address, or "-" with in) and reads the counter of every frame, in
// order of presentation. Options go before the input. An error of ffmpeg comes with what it printed, and with the
// frames seen before it.
func Decode(ctx context.Context, in io.Reader, input string, options ...string) ([]Seen, error) {
	args := append([]string{"-v", "error", "-nostdin"}, options...)
	args = append(args, "-i", input, "-map", "0:v:0", "-fps_mode", "passthrough",
		"-vf", fmt.Sprintf("scale=%d:%d:flags=area,format=gray", probeW, probeH), "-f", "rawvideo", "-")
	cmd := exec.CommandContext(ctx, "ffmpeg", args...)
	cmd.Stdin = in
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("scene: pipe from ffmpeg: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("scene: start ffmpeg: %w", err)
	}
	seen, readErr := readFrames(out)
	if err := cmd.Wait(); err != nil {
		return seen, fmt.Errorf("scene: decode %s: %w: %s", input, err, strings.TrimSpace(said.String()))
	}
	if readErr != nil {
		return seen, fmt.Errorf("scene: read frames of %s: %w", input, readErr)
	}
	return seen, nil
}

func readFrames(r io.Reader) ([]Seen, error) {
	br := bufio.NewReaderSize(r, probeW*probeH)
	frame := make([]byte, probeW*probeH)
	var seen []Seen
	for {
		if _, err := io.ReadFull(br, frame); errors.Is(err, io.EOF) {
			return seen, nil
		} else if err != nil {
			return seen, err
		}
		v, ok := readCounter(frame, probeW, probeH)
		seen = append(seen, Seen{v, ok})
	}
}

// Run is a stretch of consecutive counters.
type Run struct{ First, Last uint32 }

// Runs folds the frames into stretches without loss. Unreadable frames are counted apart and break no stretch.
func Runs(seen []Seen) (runs []Run, unreadable int) {
	for _, s := range seen {
		switch n := len(runs); {
		case !s.OK:
			unreadable++
		case n > 0 && runs[n-1].Last+1 == s.Counter:
			runs[n-1].Last = s.Counter
		default:
			runs = append(runs, Run{s.Counter, s.Counter})
		}
	}
	return runs, unreadable
}
