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
		asJSON  = flag.Bool("json", false, "print results as JSON lines")
		profile = flag.String("profile", "", "write what the product's processor time goes into to this file")
	)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch *role {
	case "":
		err = compare(ctx, *streams, *kbps, *seconds, *asJSON, *profile)
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

// compare runs the server and, one after the other, both recorders.
func compare(ctx context.Context, streams, kbps, seconds int, asJSON bool, profile string) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	server := exec.CommandContext(ctx, self, "-role", "serve", "-streams", strconv.Itoa(streams), "-kbps", strconv.Itoa(kbps))
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
	for len(urls) < streams && lines.Scan() {
		urls = append(urls, lines.Text())
	}
	if len(urls) < streams {
		return fmt.Errorf("%d of %d streams came up", len(urls), streams)
	}
	results := map[string]Result{}
	for _, role := range []string{"plain", "campuskeep"} {
		args := []string{"-role", role, "-seconds", strconv.Itoa(seconds)}
		if role == "campuskeep" {
			args = append(args, "-profile", profile)
		}
		args = append(args, urls...)
		cmd := exec.CommandContext(ctx, self, args...)
		cmd.Stderr = os.Stderr
		b, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("%s: %w", role, err)
		}
		var r Result
		if err := json.Unmarshal(b, &r); err != nil {
			return fmt.Errorf("%s: %w", role, err)
		}
		results[role] = r
		if asJSON {
			fmt.Print(string(b))
		} else {
			fmt.Printf("%-11s %d streams %.0f s: %6.2f CPU-s per stream-hour, %5.1f MB resident, %.1f MB taken\n",
				r.Who, r.Streams, r.Seconds, r.CPUPerStreamHour, r.MemoryMB, r.Megabytes)
		}
	}
	if !asJSON {
		fmt.Printf("ratio       %.2f\n", results["campuskeep"].CPUPerStreamHour/results["plain"].CPUPerStreamHour)
	}
	return nil
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
func residentMB() (mb float64, err error) {
	f, err := os.Open("/proc/self/status")
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
	return 0, errors.New("no VmHWM in /proc/self/status")
}
