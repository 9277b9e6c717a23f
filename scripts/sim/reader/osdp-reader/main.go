// Command osdp-reader is a simulated card reader on a pseudo-terminal. It prints the port to configure, takes
// commands on standard input or a socket, and prints every beep and light with the time since the tap.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	readersim "campuskeep/scripts/sim/reader"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "osdp-reader:", err)
		os.Exit(1)
	}
}

const help = `commands: tap <hex uid> | auto <per minute> <file of uids> | auto off | fault <name> [times] | ok | quit`

func run(ctx context.Context) error {
	address := flag.Int("address", 0, "OSDP address, 0 to 126")
	link := flag.String("link", "", "symbolic link to make to the port, so that its name stays the same")
	socket := flag.String("socket", "", "Unix socket to take commands on, besides standard input")
	uids := flag.String("uids", "", "file of card numbers, one a line, to tap by itself")
	rate := flag.Float64("rate", 30, "taps a minute with -uids")
	flag.Parse()
	if *address < 0 || *address > 126 {
		return fmt.Errorf("-address %d: 0 to 126 are allowed", *address)
	}
	s := &sim{}
	d, err := readersim.New(readersim.Options{Address: byte(*address), OnEvent: s.print})
	if err != nil {
		return err
	}
	s.Device = d
	defer func() {
		s.auto(ctx, 0, nil)
		if err := d.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "osdp-reader: close the port:", err)
		}
	}()
	if *link != "" {
		if err := os.Remove(*link); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.Symlink(d.Path(), *link); err != nil {
			return err
		}
	}
	fmt.Println("port", d.Path())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if *uids != "" {
		list, err := readUIDs(*uids)
		if err != nil {
			return err
		}
		s.auto(ctx, *rate, list)
	}
	if *socket != "" {
		if err := os.Remove(*socket); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		l, err := net.Listen("unix", *socket)
		if err != nil {
			return err
		}
		context.AfterFunc(ctx, func() {
			if err := l.Close(); err != nil {
				fmt.Fprintln(os.Stderr, "osdp-reader:", err)
			}
		})
		go s.serve(ctx, cancel, l)
	}
	go s.commands(ctx, cancel, os.Stdin, os.Stdout)
	return d.Run(ctx)
}

type sim struct {
	*readersim.Device
	mu   sync.Mutex
	stop context.CancelFunc
}

func (s *sim) print(e readersim.Event) {
	since := ""
	if e.SinceTap > 0 {
		since = fmt.Sprintf(" after %.1f ms", float64(e.SinceTap)/1e6)
	}
	switch e.Kind {
	case "beep":
		fmt.Printf("%s beep %d x %d ms%s\n", e.At.Format("15:04:05.000"), e.Beeps, e.Tone.Milliseconds(), since)
	case "led":
		fmt.Printf("%s led %s%s\n", e.At.Format("15:04:05.000"), e.Colour, since)
	case "card":
		fmt.Printf("%s card %X\n", e.At.Format("15:04:05.000"), e.UID)
	default:
		fmt.Printf("%s %s\n", e.At.Format("15:04:05.000"), e.Kind)
	}
}

func (s *sim) serve(ctx context.Context, quit context.CancelFunc, l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			s.commands(ctx, quit, c, c)
			if err := c.Close(); err != nil {
				fmt.Fprintln(os.Stderr, "osdp-reader:", err)
			}
		}()
	}
}

func (s *sim) commands(ctx context.Context, quit context.CancelFunc, r io.Reader, w io.Writer) {
	in := bufio.NewScanner(r)
	for in.Scan() {
		answer := "ok"
		if err := s.command(ctx, quit, strings.Fields(in.Text())); err != nil {
			answer = err.Error()
		}
		if _, err := fmt.Fprintln(w, answer); err != nil {
			return
		}
	}
}

func (s *sim) command(ctx context.Context, quit context.CancelFunc, f []string) error {
	switch {
	case len(f) == 2 && f[0] == "tap":
		uid, err := hex.DecodeString(f[1])
		if err != nil || len(uid) == 0 {
			return fmt.Errorf("tap: %q is not hexadecimal", f[1])
		}
		s.Tap(uid)
	case len(f) == 2 && f[0] == "auto" && f[1] == "off":
		s.auto(ctx, 0, nil)
	case len(f) == 3 && f[0] == "auto":
		n, err := strconv.ParseFloat(strings.TrimSuffix(f[1], "/min"), 64)
		if err != nil || n <= 0 || n > 6000 {
			return fmt.Errorf("auto: %q is not 0 to 6000 a minute", f[1])
		}
		list, err := readUIDs(f[2])
		if err != nil {
			return err
		}
		s.auto(ctx, n, list)
	case (len(f) == 2 || len(f) == 3) && f[0] == "fault":
		times := -1
		if len(f) == 3 {
			n, err := strconv.Atoi(f[2])
			if err != nil || n < 1 {
				return fmt.Errorf("fault: %q is not a count", f[2])
			}
			times = n
		}
		for _, known := range readersim.Faults {
			if string(known) == f[1] {
				s.Break(known, times)
				return nil
			}
		}
		return fmt.Errorf("fault: one of %v", readersim.Faults)
	case len(f) == 1 && f[0] == "ok":
		s.Break(readersim.FaultNone, 0)
	case len(f) == 1 && f[0] == "quit":
		quit()
	default:
		return errors.New(help)
	}
	return nil
}

// auto taps the cards of the list one after the other, over and over; rate 0 stops it.
func (s *sim) auto(ctx context.Context, perMinute float64, uids [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
	if perMinute == 0 {
		return
	}
	ctx, s.stop = context.WithCancel(ctx)
	go func() {
		t := time.NewTicker(time.Duration(float64(time.Minute) / perMinute))
		defer t.Stop()
		for i := 0; ; i++ {
			select {
			case <-t.C:
				s.Tap(uids[i%len(uids)])
			case <-ctx.Done():
				return
			}
		}
	}()
}

func readUIDs(name string) ([][]byte, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for i, line := range strings.Fields(string(b)) {
		uid, err := hex.DecodeString(line)
		if err != nil || len(uid) == 0 {
			return nil, fmt.Errorf("%s: line %d is not a hexadecimal card number", name, i+1)
		}
		out = append(out, uid)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s holds no card numbers", name)
	}
	return out, nil
}
