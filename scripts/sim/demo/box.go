package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"campuskeep/firmware/appliance"
	"campuskeep/firmware/site"
	"campuskeep/scripts/sim/backfill"
	"campuskeep/scripts/sim/camera"
	"campuskeep/scripts/sim/centreproc"
	nvrsim "campuskeep/scripts/sim/nvr"
	"campuskeep/scripts/sim/process"
	readersim "campuskeep/scripts/sim/reader"
	"campuskeep/scripts/sim/render"
	"campuskeep/scripts/sim/school"
	"campuskeep/shared/attendance"
	"campuskeep/shared/lib/config"
)

// The demo's addresses. Ports are fixed, so that bookmarks and the register of cameras stay right.
const (
	applianceID    = "ck-0417"
	officeAddress  = "127.0.0.1:8443"
	cameraUser     = "admin"
	cameraPassword = "demo-camera"
)

// historyDays is a day more than footage is kept, so that the first start has something to delete.
const historyDays = 31

var cameraPorts = []int{8554, 8556, 8558} // RTP over UDP takes the port after each

// stillPort is where the first camera's web server listens; the others follow.
const stillPort = 8181

// demo is everything that was started.
type demo struct {
	dir, bin string
	cameras  []*camera.Camera
	stills   []*camera.Stills
	nvr      *nvrsim.NVR
	stopNVR  context.CancelFunc
	reader   *readersim.Device
	reading  chan error // ends when the reader's simulation does
	stopRead context.CancelFunc
	centre   *centreproc.Centre
	dirFlag  string
	box      *process.Process
}

func (d *demo) path(name ...string) string { return filepath.Join(append([]string{d.dir}, name...)...) }

func (d *demo) start(ctx context.Context) error {
	for _, sub := range []string{"sim", "box", "centre"} {
		if err := os.MkdirAll(d.path(sub), 0o700); err != nil {
			return err
		}
	}
	for _, address := range []string{officeAddress, fmt.Sprintf("127.0.0.1:%d", centrePorts.Console), fmt.Sprintf("127.0.0.1:%d", centrePorts.Enrol), fmt.Sprintf("127.0.0.1:%d", centrePorts.MQTT)} {
		if err := free(address); err != nil {
			return err
		}
	}
	if err := d.startCentre(ctx); err != nil {
		return err
	}
	if err := d.startDevices(ctx); err != nil {
		return err
	}
	if !exists(d.path("box", "filled")) {
		if err := d.fillBox(ctx); err != nil {
			return err
		}
	}
	if err := d.enrolBox(ctx); err != nil {
		return err
	}
	progressLine("starting the appliance")
	var err error
	if d.box, err = process.Start(d.bin, d.dir, "box", "campuskeepd", "run", "-c", d.path("box", "campuskeep.toml")); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return d.box.Ready(wait, process.Answers("https://"+officeAddress+"/healthz"))
}

// startDevices starts the cameras and the card reader, which stay for the whole demo.
func (d *demo) startDevices(ctx context.Context) error {
	progressLine("starting three cameras, an NVR with four more, and a card reader")
	if err := d.startNVR(ctx); err != nil {
		return err
	}
	for i, port := range cameraPorts {
		sound := ""
		if i == 0 { // the one whose sound is recorded
			sound = "aac"
		}
		c, err := camera.Start(ctx, camera.Options{Name: cameraName(i), Listen: fmt.Sprintf("127.0.0.1:%d", port), UDP: true,
			User: cameraUser, Password: cameraPassword, FPS: 8, Coding: render.Coding{W: 640, H: 360, GOP: 16}, Sound: sound})
		if err != nil {
			return fmt.Errorf("camera %d: %w", i+1, err)
		}
		d.cameras = append(d.cameras, c)
		s, err := camera.StartStills(camera.StillOptions{Name: cameraName(i), Listen: fmt.Sprintf("127.0.0.1:%d", stillPort+i), User: cameraUser, Password: cameraPassword})
		if err != nil {
			return err
		}
		d.stills = append(d.stills, s)
	}
	var err error
	d.reader, err = readersim.New(readersim.Options{})
	if err != nil {
		return err
	}
	link := d.path("sim", "reader")
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(d.reader.Path(), link); err != nil {
		return err
	}
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.stopRead, d.reading = stop, make(chan error, 1)
	go func() { d.reading <- d.reader.Run(reading) }()
	return nil
}

func cameraName(i int) string { return fmt.Sprintf("c%02d", i+1) }

// fillBox makes the past. It is complete or begun again: a half-made month would show gaps that nobody had.
func (d *demo) fillBox(ctx context.Context) error {
	data := d.path("box", "data")
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	cfg, err := d.boxConfig()
	if err != nil {
		return err
	}
	var addresses, stills []string
	for i, c := range d.cameras {
		addresses, stills = append(addresses, c.URL()), append(stills, d.stills[i].URL())
	}
	progressLine("filling the demo school with a month of work (once; a minute or two)")
	began := time.Now()
	filled, err := backfill.Fill(ctx, backfill.Options{Config: cfg, Now: began, Days: historyDays, Cameras: addresses, Stills: stills,
		CameraLogin: site.Login{User: cameraUser, Password: cameraPassword}, ReaderPort: d.path("sim", "reader"), NVRs: []backfill.NVR{d.registeredNVR()}, Progress: progress()})
	if err != nil {
		return fmt.Errorf("fill the demo school: %w", err)
	}
	fmt.Fprintf(os.Stderr, "\r\033[K")
	progressLine(fmt.Sprintf("filled in %s", time.Since(began).Round(time.Second)))
	if err := filled.WriteFiles(d.path("sim")); err != nil {
		return err
	}
	return os.WriteFile(d.path("box", "filled"), nil, 0o600)
}

// progress shows the latest line in place, at most ten times a second.
func progress() func(string) {
	var last time.Time
	return func(s string) {
		if time.Since(last) > 100*time.Millisecond {
			last = time.Now()
			fmt.Fprintf(os.Stderr, "\r\033[K  %s", s)
		}
	}
}

// boxConfig writes the appliance's configuration and reads it back as the product would.
func (d *demo) boxConfig() (appliance.Config, error) {
	text := fmt.Sprintf(`# The demo's appliance. The host's clock is declared a source of its own: something else keeps it.
[appliance]
id = %q
school = %q
data = %q

[office]
listen = %q

%s
[clock]
sources = ["host", "nvr", "centre"]

[[bus]]
port = %q
baud = 115200
`, applianceID, school.Name, d.path("box", "data"), officeAddress, d.centre.BoxConfig(), d.path("sim", "reader"))
	cfg := appliance.Default()
	if err := config.Decode("campuskeep.toml", []byte(text), &cfg); err != nil {
		return cfg, err
	}
	return cfg, os.WriteFile(d.path("box", "campuskeep.toml"), []byte(text), 0o600)
}

// watch holds cards to the reader now and then until ctx ends or a program does.
func (d *demo) watch(ctx context.Context, perMinute int) error {
	uids, err := d.cards()
	if err != nil {
		return err
	}
	var tick <-chan time.Time
	if perMinute > 0 && len(uids) > 0 {
		t := time.NewTicker(time.Minute / time.Duration(perMinute))
		defer t.Stop()
		tick = t.C
	}
	for next := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-d.box.Done:
			return d.box.Failed()
		case <-d.centre.Done:
			return d.centre.Failed()
		case err := <-d.reading:
			return fmt.Errorf("the card reader ended: %w", err)
		case <-tick:
			d.reader.Tap(uids[next%len(uids)])
			next += 37 // pupils of different classes come together
		}
	}
}

func (d *demo) cards() ([][]byte, error) {
	b, err := os.ReadFile(d.path("sim", "cards.csv"))
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for line := range strings.Lines(string(b)) {
		uid, _, _ := strings.Cut(line, ",")
		c, err := attendance.ParseCard(uid)
		if err != nil {
			return nil, fmt.Errorf("cards.csv: %w", err)
		}
		out = append(out, c.Raw)
	}
	return out, nil
}

// stop ends everything in the order that loses nothing: the box, the devices, the centre.
func (d *demo) stop() error {
	var errs []error
	if d.box != nil {
		progressLine("stopping the appliance")
		errs = append(errs, d.box.Stop(30*time.Second))
	}
	if d.stopRead != nil {
		d.stopRead()
		errs = append(errs, d.reader.Close())
	}
	for _, s := range d.stills {
		errs = append(errs, s.Close())
	}
	for _, c := range d.cameras {
		errs = append(errs, c.Close())
	}
	if d.nvr != nil {
		d.stopNVR()
		errs = append(errs, d.nvr.Close())
	}
	if d.centre != nil && d.centre.Process != nil {
		progressLine("stopping the centre")
		errs = append(errs, d.centre.Stop(30*time.Second))
	}
	return errors.Join(errs...)
}

func progressLine(s string) { fmt.Fprintln(os.Stderr, "·", s) }

// free says whether a port of the demo is free, with the reason when it is not.
func free(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("the demo needs %s: %w", address, err)
	}
	return l.Close()
}
