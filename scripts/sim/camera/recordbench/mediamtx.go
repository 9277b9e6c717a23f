package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTicks is USER_HZ, the unit of /proc/<pid>/stat; it is 100 on every Linux that Go runs on.
const clockTicks = 100

// mediamtx has a MediaMTX program pull and record the streams, and counts what it costs from outside.
func mediamtx(ctx context.Context, program string, urls []string, long time.Duration) (r Result, err error) {
	dir, err := os.MkdirTemp("", "recordbench-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var b strings.Builder
	b.WriteString("logLevel: error\nrtsp: no\nrtmp: no\nhls: no\nwebrtc: no\nsrt: no\npaths:\n")
	for i, address := range urls {
		u, err := url.Parse(address)
		if err != nil {
			return r, err
		}
		u.User = url.UserPassword("admin", "secret")
		fmt.Fprintf(&b, "  s%02d:\n    source: %s\n    rtspTransport: tcp\n    record: yes\n    recordFormat: fmp4\n    recordPath: %s/%%path/%%Y-%%m-%%d_%%H-%%M-%%S-%%f\n", i, u, dir)
	}
	config := filepath.Join(dir, "mediamtx.yml")
	if err := os.WriteFile(config, []byte(b.String()), 0o600); err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, program, config)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		return r, err
	}
	defer func() {
		if stopErr := cmd.Process.Signal(os.Interrupt); stopErr == nil {
			var exit *exec.ExitError
			if waitErr := cmd.Wait(); waitErr != nil && !errors.As(waitErr, &exit) {
				err = errors.Join(err, waitErr)
			}
		}
	}()
	if err := pause(ctx, 5*time.Second); err != nil {
		return r, err
	}
	pid := strconv.Itoa(cmd.Process.Pid)
	cpu, err := cpuOf(pid)
	if err != nil {
		return r, err
	}
	size, err := sizeOf(dir)
	if err != nil {
		return r, err
	}
	began := time.Now()
	if err := pause(ctx, long); err != nil {
		return r, err
	}
	ran := time.Since(began)
	after, err := cpuOf(pid)
	if err != nil {
		return r, err
	}
	grown, err := sizeOf(dir)
	if err != nil {
		return r, err
	}
	r = Result{Who: "mediamtx", Streams: len(urls), Seconds: ran.Seconds(), Megabytes: float64(grown-size) / 1e6,
		CPUPerStreamHour: (after - cpu).Seconds() / float64(len(urls)) * float64(time.Hour) / float64(ran)}
	if r.Megabytes <= 0 {
		return r, errors.New("it recorded nothing: is this a MediaMTX program, and does it know these settings?")
	}
	r.MemoryMB, err = residentOf(pid)
	return r, err
}

// cpuOf is what a process has used so far, user and system.
func cpuOf(pid string) (time.Duration, error) {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(b), ") ") // the program's name may hold spaces
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%s/stat has another shape", pid)
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / clockTicks, errors.Join(err1, err2)
}

// sizeOf is how many bytes lie under a directory.
func sizeOf(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		i, err := d.Info()
		if err == nil {
			n += i.Size()
		}
		return err
	})
	return n, err
}
