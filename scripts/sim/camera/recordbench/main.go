// Command recordbench measures what recording costs: processor time per stream-hour and memory.
//
// One process serves ready-made H.264 streams, a second records them with the product's recorder and vault, a third
// does the least that any recorder must do: pull the same streams with the same RTSP library and append fragments to
// plain files. It owns a temporary directory and its child processes; it asserts nothing, it prints.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Result is one recorder's cost.
type Result struct {
	Who              string  `json:"who"`
	Streams          int     `json:"streams"`
	Seconds          float64 `json:"seconds"`
	Megabytes        float64 `json:"megabytes"`          // of footage taken
	CPUPerStreamHour float64 `json:"cpu_s_per_stream_h"` // user and system
	MemoryMB         float64 `json:"memory_mb"`          // most that was resident
}

func main() {
	var (
		role    = flag.String("role", "", "what this process does; the parent sets it")
		streams = flag.Int("streams", 16, "number of streams")
		kbps    = flag.Int("kbps", 1000, "bit rate of each")
		seconds = flag.Int("seconds", 30, "how long to measure")
		rounds  = flag.Int("rounds", 3, "how often each recorder is measured, in turns; medians are printed")
		media   = flag.String("mediamtx", "", "path of a MediaMTX program: it records the same streams in the same run")
		asJSON  = flag.Bool("json", false, "print results as JSON lines")
		profile = flag.String("profile", "", "write what the product's processor time goes into to this file")
	)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch *role {
	case "":
		err = compare(ctx, run{*streams, *kbps, *seconds, max(1, *rounds), *media, *profile, *asJSON})
	case "serve":
		err = serve(ctx, *streams, *kbps)
	case "campuskeep", "plain":
		err = measure(ctx, *role, flag.Args(), time.Duration(*seconds)*time.Second, *profile)
	default:
		err = fmt.Errorf("no role %q", *role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "recordbench:", err)
		os.Exit(1)
	}
}

// run is what is compared.
type run struct {
	streams, kbps, seconds, rounds int
	mediamtx, profile              string
	asJSON                         bool
}

// compare runs the server and, in turns, the recorders.
func compare(ctx context.Context, x run) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	server := exec.CommandContext(ctx, self, "-role", "serve", "-streams", strconv.Itoa(x.streams), "-kbps", strconv.Itoa(x.kbps))
	server.Stderr = os.Stderr
	server.Cancel = func() error { return server.Process.Signal(os.Interrupt) }
	out, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	defer func() {
		if stopErr := server.Process.Signal(os.Interrupt); stopErr == nil {
			err = errors.Join(err, server.Wait())
		}
	}()
	var urls []string
	lines := bufio.NewScanner(out)
	for len(urls) < x.streams && lines.Scan() {
		urls = append(urls, lines.Text())
	}
	if len(urls) < x.streams {
		return fmt.Errorf("%d of %d streams came up", len(urls), x.streams)
	}
	roles := []string{"plain", "campuskeep"}
	if x.mediamtx != "" {
		roles = append(roles, "mediamtx")
	}
	results := map[string][]Result{}
	for range x.rounds {
		for _, role := range roles {
			r, err := x.one(ctx, self, role, urls)
			if err != nil {
				return fmt.Errorf("%s: %w", role, err)
			}
			results[role] = append(results[role], r)
		}
	}
	for _, role := range roles {
		m := median(results[role])
		if x.asJSON {
			if err := json.NewEncoder(os.Stdout).Encode(m); err != nil {
				return err
			}
			continue
		}
		fmt.Printf("%-11s %d streams %.0f s: %6.2f CPU-s per stream-hour, %5.1f MB resident, %.1f MB taken (median of %d)\n",
			m.Who, m.Streams, m.Seconds, m.CPUPerStreamHour, m.MemoryMB, m.Megabytes, x.rounds)
	}
	for _, role := range roles {
		if role != "campuskeep" && !x.asJSON {
			fmt.Printf("ratio to %-10s %.2f\n", role, median(results["campuskeep"]).CPUPerStreamHour/median(results[role]).CPUPerStreamHour)
		}
	}
	return nil
}

// one measures one recorder once.
func (x run) one(ctx context.Context, self, role string, urls []string) (r Result, err error) {
	if role == "mediamtx" {
		return mediamtx(ctx, x.mediamtx, urls, time.Duration(x.seconds)*time.Second)
	}
	args := []string{"-role", role, "-seconds", strconv.Itoa(x.seconds)}
	if role == "campuskeep" {
		args = append(args, "-profile", x.profile)
	}
	cmd := exec.CommandContext(ctx, self, append(args, urls...)...)
	cmd.Stderr = os.Stderr
	b, err := cmd.Output()
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(b, &r)
}

// median takes the middle of each figure.
func median(list []Result) Result {
	m := list[0]
	of := func(f func(Result) float64) float64 {
		var all []float64
		for _, r := range list {
			all = append(all, f(r))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	m.Megabytes = of(func(r Result) float64 { return r.Megabytes })
	m.CPUPerStreamHour = of(func(r Result) float64 { return r.CPUPerStreamHour })
	m.MemoryMB = of(func(r Result) float64 { return r.MemoryMB })
	return m
}

// measure lets a recorder warm up and then counts what it costs.
func measure(ctx context.Context, role string, urls []string, long time.Duration, profile string) (err error) {
	dir, err := os.MkdirTemp("", "recordbench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	start := plain
	if role == "campuskeep" {
		start = product
	}
	taken, wait, err := start(ctx, dir, urls)
	if err != nil {
		return err
	}
	if err := pause(ctx, 5*time.Second); err != nil {
		return err
	}
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return errors.Join(err, f.Close())
		}
		defer func() {
			pprof.StopCPUProfile()
			err = errors.Join(err, f.Close())
		}()
	}
	cpu, bytes, began := cpuTime(), taken(), time.Now()
	if err := pause(ctx, long); err != nil {
		return err
	}
	used, bytes, ran := cpuTime()-cpu, taken()-bytes, time.Since(began)
	memory, err := residentMB()
	if err != nil {
		return err
	}
	cancel()
	if err := wait(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(Result{
		Who: role, Streams: len(urls), Seconds: ran.Seconds(), Megabytes: float64(bytes) / 1e6, MemoryMB: memory,
		CPUPerStreamHour: used.Seconds() / float64(len(urls)) * float64(time.Hour) / float64(ran),
	})
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// residentMB is the most memory that this process had.
func residentMB() (mb float64, err error) { return residentOf("self") }

// residentOf is the most memory that a process had.
func residentOf(pid string) (mb float64, err error) {
	f, err := os.Open("/proc/" + pid + "/status")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b, err := io.ReadAll(f)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")))
			return float64(kb) / 1024, err
		}
	}
	return 0, fmt.Errorf("no VmHWM in /proc/%s/status", pid)
}
