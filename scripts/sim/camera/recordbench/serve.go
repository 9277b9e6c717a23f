package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"campuskeep/scripts/sim/camera"
	"campuskeep/scripts/sim/render"
)

const fps = 25

// serve encodes ten seconds once and offers them as so many cameras.
func serve(ctx context.Context, streams, kbps int) (err error) {
	coding := render.Coding{W: 640, H: 360, FPS: strconv.Itoa(fps), GOP: 2 * fps, Kbps: kbps}
	var loop [][][]byte
	enc, err := render.NewEncoder(ctx, coding, func(au [][]byte) { loop = append(loop, au) })
	if err != nil {
		return err
	}
	view := render.New("c01", coding.W, coding.H, false)
	noise := rand.New(rand.NewPCG(1, 2))
	for i := range 10 * fps {
		p := view.Draw(time.Date(2026, 3, 2, 10, 0, i/fps, 0, time.UTC), uint32(i))
		for k := range p.W * p.H / 2 { // leaves in the wind: something to spend the bits on
			p.Pix[k+p.W*p.H/4] += byte(noise.IntN(24))
		}
		if err := enc.Frame(p); err != nil {
			return errors.Join(err, enc.Close())
		}
	}
	if err := enc.Close(); err != nil {
		return err
	}
	for i := range streams {
		c, startErr := camera.Start(ctx, camera.Options{
			Name: fmt.Sprintf("c%02d", i+1), Listen: "127.0.0.1:0", User: "admin", Password: "secret", FPS: fps, Loop: loop,
		})
		if startErr != nil {
			return startErr
		}
		defer func() { err = errors.Join(err, c.Close()) }()
		fmt.Println(c.URL())
	}
	<-ctx.Done()
	return nil
}
