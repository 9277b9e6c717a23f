package rtsp

import (
	"bytes"
	"fmt"
	"os/exec"
	"testing"

	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"
)

// film encodes a few pictures with several slices each and gives their access units, without delimiters.
func film(t *testing.T, args ...string) (aus [][][]byte) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc=size=160x128:rate=10:duration=1.2", "-pix_fmt", "yuv420p"}, append(args, "-")...)...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var b [][]byte
	for nal := range bytes.SplitSeq(out, []byte{0, 0, 1}) {
		if nal = bytes.TrimRight(nal, "\x00"); len(nal) > 0 {
			b = append(b, nal)
		}
	}
	h265 := args[1] == "libx265"
	for _, nal := range b {
		if kind := nal[0] & 0x1f; !h265 && kind == 9 {
			aus = append(aus, nil)
			continue
		}
		if kind := nal[0] >> 1 & 0x3f; h265 && kind == 35 {
			aus = append(aus, nil)
			continue
		}
		aus[len(aus)-1] = append(aus[len(aus)-1], nal)
	}
	return aus
}

// Whatever a sender does with marks and packets: what comes out are the access units that went in.
func TestPicturesAreWhatTheStandardSays(t *testing.T) {
	type packet = rtp.Packet
	senders := map[string]func(pkts []*packet){
		"as usual": func([]*packet) {},
		"marks every slice": func(pkts []*packet) {
			for _, p := range pkts {
				p.Marker = true
			}
		},
		"marks nothing": func(pkts []*packet) {
			for _, p := range pkts {
				p.Marker = false
			}
		},
		"time stands still": func(pkts []*packet) {
			for _, p := range pkts {
				p.Timestamp = 0
			}
		},
		"time stands still, nothing marked": func(pkts []*packet) {
			for _, p := range pkts {
				p.Timestamp, p.Marker = 0, false
			}
		},
	}
	for codec, args := range map[string][]string{
		"h264": {"-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-x264-params", "slices=4:aud=1:keyint=5:sliced-threads=0", "-f", "h264"},
		"h265": {"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "slices=2:aud=1:keyint=5:repeat-headers=1:log-level=none:pools=1", "-f", "hevc"},
	} {
		aus := film(t, args...)
		for name, change := range senders {
			t.Run(codec+" "+name, func(t *testing.T) {
				var f format.Format = &format.H264{PayloadTyp: 96, PacketizationMode: 1}
				if codec == "h265" {
					f = &format.H265{PayloadTyp: 96}
				}
				p, err := NewPictures(f)
				if err != nil {
					t.Fatal(err)
				}
				var got [][][]byte
				each := func(x Picture) {
					if x.More {
						got[len(got)-1] = append(got[len(got)-1], x.NALs...)
					} else {
						got = append(got, x.NALs)
					}
				}
				seq := uint16(65530)
				for i, au := range aus {
					var pkts []*packet
					for _, nal := range au { // each in packets of its own
						one := split(nal, codec == "h265", 300)
						pkts = append(pkts, one...)
					}
					pkts[len(pkts)-1].Marker = true
					for _, x := range pkts {
						x.Timestamp, x.SequenceNumber = uint32(i)*9000, seq
						seq++
					}
					change(pkts)
					for _, x := range pkts {
						if err := p.Take(x, each); err != nil {
							t.Fatal(err)
						}
					}
				}
				if p.coded {
					p.end(each)
				}
				if len(got) != len(aus) {
					t.Fatalf("%d pictures became %d", len(aus), len(got))
				}
				for i := range aus {
					if a, b := fmt.Sprintf("%x", bytes.Join(aus[i], nil)), fmt.Sprintf("%x", bytes.Join(got[i], nil)); a != b {
						t.Fatalf("picture %d: %d units became %d", i, len(aus[i]), len(got[i]))
					}
				}
			})
		}
	}
}

// split makes packets of one NAL unit.
func split(nal []byte, h265 bool, size int) (out []*rtp.Packet) {
	add := func(b []byte) {
		out = append(out, &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96}, Payload: b})
	}
	if len(nal) <= size {
		add(nal)
		return out
	}
	head := 1
	if h265 {
		head = 2
	}
	for at := head; at < len(nal); at += size {
		end := min(at+size, len(nal))
		var flags byte
		if at == head {
			flags |= 0x80
		}
		if end == len(nal) {
			flags |= 0x40
		}
		if h265 {
			add(append([]byte{nal[0]&0x81 | 49<<1, nal[1], flags | nal[0]>>1&0x3f}, nal[at:end]...))
		} else {
			add(append([]byte{nal[0]&0x60 | 28, flags | nal[0]&0x1f}, nal[at:end]...))
		}
	}
	return out
}
