// Package process runs the real programs of the product for the demo and the tests, as a person would start them.
//
// It owns the child processes and the files that hold what they print. It must never reach into them: it
// knows a program by its command line, its exit and its output.
package process

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Process is one real program of the product, started as a person would, its output in a file.
type Process struct {
	Name string
	Log  string        // file of what it prints
	Done chan struct{} // closed when it has ended

	cmd *exec.Cmd
	err error // valid after Done
}

// Start runs bin/<args[0]>; what it says goes to <dir>/<name>.log.
func Start(bin, dir, name string, args ...string) (*Process, error) {
	p := &Process{Name: name, Log: filepath.Join(dir, name+".log"), Done: make(chan struct{})}
	out, err := os.OpenFile(p.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	p.cmd = exec.Command(filepath.Join(bin, args[0]), args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	// A group of its own: Ctrl-C at the terminal reaches only the demo, which stops the others in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), out.Close())
	}
	go func() {
		p.err = errors.Join(p.cmd.Wait(), out.Close())
		close(p.Done)
	}()
	return p, nil
}

// Stop asks it to end and waits; after the limit it is killed and that is an error.
func (p *Process) Stop(limit time.Duration) error {
	select {
	case <-p.Done:
		return p.Failed()
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", p.Name, err)
	}
	select {
	case <-p.Done:
		return p.Failed()
	case <-time.After(limit):
		err := p.cmd.Process.Kill()
		<-p.Done
		return errors.Join(fmt.Errorf("%s did not stop within %s and was killed; see %s", p.Name, limit, p.Log), err)
	}
}

// Kill ends it as a power cut would, and waits until it is gone.
func (p *Process) Kill() error {
	err := p.cmd.Process.Kill()
	<-p.Done
	return err
}

// Failed is the error with which it ended, with its last words; nil when it ended well. It must have ended.
func (p *Process) Failed() error {
	if p.err == nil {
		return nil
	}
	return fmt.Errorf("%s ended: %w\n%s", p.Name, p.err, Tail(p.Log, 12))
}

// Ready waits until probe succeeds; it gives up when the process ends or the context does.
func (p *Process) Ready(ctx context.Context, probe func() error) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		if last = probe(); last == nil {
			return nil
		}
		select {
		case <-p.Done:
			return fmt.Errorf("%s ended before it was ready: %w", p.Name, errors.Join(p.err, errors.New(Tail(p.Log, 12))))
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w; see %s", p.Name, errors.Join(ctx.Err(), last), p.Log)
		case <-tick.C:
		}
	}
}

// Once runs a command of the product to its end and returns what it printed.
func Once(ctx context.Context, bin string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(bin, args[0]), args[1:]...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// Tail is the end of a file of output.
func Tail(file string, lines int) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}

// Answers is a probe for [Process.Ready]: the address answers 200. Its certificate is not looked at, since only
// readiness is asked.
func Answers(url string) func() error {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	return func() error {
		resp, err := client.Get(url)
		if err != nil {
			return err
		}
		if err := resp.Body.Close(); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, resp.Status)
		}
		return nil
	}
}
