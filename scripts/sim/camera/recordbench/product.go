package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/recorder"
	"campuskeep/firmware/vault"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
)

type uptime struct{ boot time.Time }

func (c uptime) Now() clock.Reading {
	d := time.Since(c.boot)
	return clock.Reading{Wall: c.boot.Add(d), State: clock.Trusted, Boot: "bench", Mono: d}
}

// product records with the product's own recorder into a sealed vault.
func product(ctx context.Context, dir string, urls []string) (taken func() uint64, wait func() error, err error) {
	fsys, err := disk.Real(dir)
	if err != nil {
		return nil, nil, err
	}
	root, err := keyring.OpenRoot(fsys)
	if err != nil {
		return nil, nil, err
	}
	ring, err := root.Ring("footage")
	if err != nil {
		return nil, nil, err
	}
	if err := fsys.MkdirAll("vault", 0o700); err != nil {
		return nil, nil, err
	}
	vfs, err := disk.Real(filepath.Join(dir, "vault"))
	if err != nil {
		return nil, nil, err
	}
	v, err := vault.Open(vault.Options{FS: vfs, IndexPath: filepath.Join(dir, "index.db"), Keys: ring, Holds: root})
	if err != nil {
		return nil, nil, err
	}
	var missed error
	r := recorder.New(recorder.Options{
		Vault: v, Clock: uptime{time.Now().Add(-time.Hour)},
		Gap: func(g recorder.Gap) {
			if missed == nil {
				missed = fmt.Errorf("not everything was recorded: %s %s", g.Camera, g.Cause)
			}
		},
	})
	var cams []recorder.Camera
	for i, u := range urls {
		cams = append(cams, recorder.Camera{
			Camera: footage.Camera{ID: fmt.Sprintf("c%02d", i+1), Custody: footage.CustodyVault, Main: u},
			User:   "admin", Password: "secret",
		})
	}
	r.SetCameras(cams)
	var g errgroup.Group
	vctx, stopVault := context.WithCancel(context.Background())
	g.Go(func() error { return v.Run(vctx) })
	g.Go(func() error {
		defer stopVault()
		return r.Run(ctx)
	})
	taken = func() (n uint64) {
		for _, s := range r.Status() {
			n += s.Bytes
		}
		return n
	}
	return taken, func() error {
		if err := g.Wait(); err != nil {
			return err
		}
		if missed != nil {
			return missed
		}
		return v.Close()
	}, nil
}
