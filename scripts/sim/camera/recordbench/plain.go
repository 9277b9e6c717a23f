package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/pion/rtp"
)

// plain pulls the streams with the bare library and appends a fragment a second to a file each: no sealing, no
// index, no durability, no supervision.
func plain(ctx context.Context, dir string, urls []string) (taken func() uint64, wait func() error, err error) {
	var bytes atomic.Uint64
	var wg sync.WaitGroup
	errs := make(chan error, len(urls))
	for i, u := range urls {
		wg.Go(func() { errs <- pull(ctx, u, filepath.Join(dir, fmt.Sprintf("%02d.mp4", i)), &bytes) })
	}
	return bytes.Load, func() error {
		wg.Wait()
		close(errs)
		var all error
		for err := range errs {
			all = errors.Join(all, err)
		}
		return all
	}, nil
}

func pull(ctx context.Context, address, file string, bytes *atomic.Uint64) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	u, err := base.ParseURL(address)
	if err != nil {
		return err
	}
	u.User = url.UserPassword("admin", "secret")
	tcp := gortsplib.ProtocolTCP
	c := &gortsplib.Client{Scheme: u.Scheme, Host: u.Host, Protocol: &tcp}
	if err := c.Start(); err != nil {
		return err
	}
	defer c.Close()
	desc, _, err := c.Describe(u)
	if err != nil {
		return err
	}
	var forma *format.H264
	media := desc.FindFormat(&forma)
	if media == nil {
		return errors.New("no H.264")
	}
	decoder, err := forma.CreateDecoder()
	if err != nil {
		return err
	}
	if _, err := c.Setup(desc.BaseURL, media, 0, 0); err != nil {
		return err
	}
	w := &plainWriter{f: f, bytes: bytes}
	c.OnPacketRTP(media, forma, func(pkt *rtp.Packet) {
		if au, err := decoder.Decode(pkt); err == nil {
			w.frame(au, pkt.Timestamp)
		}
	})
	if _, err := c.Play(nil); err != nil {
		return err
	}
	<-ctx.Done()
	c.Close()
	return w.err
}

// plainWriter is used by the client's reading goroutine.
type plainWriter struct {
	f     *os.File
	bytes *atomic.Uint64
	track fmp4.PartTrack
	begun uint32
	seq   uint32
	err   error
}

func (w *plainWriter) frame(au [][]byte, at uint32) {
	payload, err := h264.AVCC(au).Marshal()
	if err != nil {
		return
	}
	if len(w.track.Samples) > 0 && at-w.begun >= 90000 {
		w.seq++
		var buf seekablebuffer.Buffer
		w.track.ID = 1
		if err := (fmp4.Part{SequenceNumber: w.seq, Tracks: []*fmp4.PartTrack{&w.track}}).Marshal(&buf); err != nil {
			w.err = errors.Join(w.err, err)
		}
		n, err := w.f.Write(buf.Bytes())
		w.err = errors.Join(w.err, err)
		w.bytes.Add(uint64(n))
		w.track = fmp4.PartTrack{BaseTime: uint64(at)}
	}
	if len(w.track.Samples) == 0 {
		w.begun = at
	}
	w.track.Samples = append(w.track.Samples, &fmp4.Sample{Duration: 90000 / fps, IsNonSyncSample: !h264.IsRandomAccess(au), Payload: payload})
}
