package main

import (
	"context"

	"campuskeep/scripts/sim/process"
)

func (d *demo) startCentre(ctx context.Context) error {
	d.centre = &process.Process{Done: make(chan struct{})}
	return nil
}
func (d *demo) enrolBox(ctx context.Context) error { return nil }
func (d *demo) centreConfig() string               { return "" }
func (d *demo) welcome()                           { say("up") }
