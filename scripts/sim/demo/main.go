// Command demo starts everything that a newcomer wants to see: the centre, one enrolled appliance with a month
// of footage, three simulated cameras and a simulated card reader.
//
// It owns the folder .run and the processes that it starts, and stops them in order. It must never be part of an
// installation: the product knows nothing of it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
	_ "time/tzdata"

	"campuskeep/scripts/sim/school"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir := flag.String("dir", ".run", "folder of the demo's data")
	fresh := flag.Bool("fresh", false, "forget the demo's data and begin again")
	taps := flag.Int("taps", 6, "cards held to the reader per minute; 0: none")
	code := flag.String("code", "", "print the one-time code of this log-in and exit")
	flag.Parse()
	var err error
	if *code != "" {
		err = printCode(*dir, *code)
	} else {
		err = run(ctx, *dir, *fresh, *taps)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, fresh bool, taps int) (err error) {
	given := dir
	dir, err = filepath.Abs(dir)
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	d := &demo{dir: dir, dirFlag: given, bin: filepath.Dir(exe)}
	if fresh {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	defer func() { err = errors.Join(err, d.stop()) }()
	if err := d.start(ctx); err != nil {
		return err
	}
	d.printAccess()
	return d.watch(ctx, taps)
}

// lockDir refuses a second demo on the same folder.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another demo uses %s", dir), f.Close())
	}
	return f, nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}

// printCode is the phone of the demo's people.
func printCode(dir, name string) error {
	accounts, err := logins(dir)
	if err != nil {
		return fmt.Errorf("%w (start the demo once before)", err)
	}
	for _, a := range accounts {
		if a.Login == name {
			if a.Secret == nil {
				return fmt.Errorf("%s logs in without a code", name)
			}
			fmt.Println(a.Code(time.Now()))
			return nil
		}
	}
	return fmt.Errorf("the demo has no log-in %q", name)
}

// logins are the accounts of the school and of the centre.
func logins(dir string) ([]school.Account, error) {
	box, err := school.ReadLogins(filepath.Join(dir, "sim"))
	if err != nil {
		return nil, err
	}
	centre, err := school.ReadLogins(filepath.Join(dir, "centre"))
	if errors.Is(err, fs.ErrNotExist) {
		return box, nil
	}
	return append(box, centre...), err
}
