// Command simcamera runs simulated network cameras until it is interrupted.
//
// It prints one line with the address of each camera when all can be connected to. It owns what the camera package
// owns and must never be part of an installation.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"campuskeep/scripts/sim/camera"
	"campuskeep/scripts/sim/render"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "simcamera:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	var (
		host     = flag.String("host", "127.0.0.1", "address to listen on")
		port     = flag.Int("port", 8554, "port of the first camera; the others follow, 0 takes free ones")
		count    = flag.Int("cameras", 3, "number of cameras")
		user     = flag.String("user", "admin", "user name to ask for")
		password = flag.String("password", "demo-camera", "password to ask for")
		fps      = flag.Int("fps", 10, "frames a second")
		width    = flag.Int("width", 640, "width of the picture")
		height   = flag.Int("height", 360, "height of the picture")
		loop     = flag.Int("loop", 0, "seconds: encode once and serve it for ever, for load tests")
		kbps     = flag.Int("kbps", 0, "bit rate; 0: whatever constant quality needs")
	)
	flag.Parse()
	coding := render.Coding{W: *width, H: *height, GOP: 2 * *fps, Kbps: *kbps}
	var loopAUs [][][]byte
	if *loop > 0 {
		if loopAUs, err = encode(ctx, coding, *fps, *loop); err != nil {
			return err
		}
	}
	for i := range *count {
		p := 0
		if *port != 0 {
			p = *port + i
		}
		name := fmt.Sprintf("c%02d", i+1)
		c, startErr := camera.Start(ctx, camera.Options{
			Name: name, Listen: net.JoinHostPort(*host, strconv.Itoa(p)), UDP: true, User: *user, Password: *password,
			Coding: coding, FPS: *fps, Loop: loopAUs,
		})
		if startErr != nil {
			return startErr
		}
		defer func() { err = errors.Join(err, c.Close()) }()
		fmt.Println(name, c.URL())
	}
	<-ctx.Done()
	return nil
}

// encode makes the loop for load tests.
func encode(ctx context.Context, coding render.Coding, fps, seconds int) ([][][]byte, error) {
	coding.FPS = strconv.Itoa(fps)
	var aus [][][]byte
	enc, err := render.NewEncoder(ctx, coding, func(au [][]byte) { aus = append(aus, au) })
	if err != nil {
		return nil, err
	}
	view := render.New("c01", coding.W, coding.H, false)
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for i := range fps * seconds {
		if err := enc.Frame(view.Draw(at.Add(time.Duration(i)*time.Second/time.Duration(fps)), uint32(i))); err != nil {
			return nil, errors.Join(err, enc.Close())
		}
	}
	return aus, enc.Close()
}
