package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"campuskeep/firmware/keyring"
)

// rotated is the answer of the control socket.
type rotated struct {
	Place string `json:"place"`
	Error string `json:"error,omitempty"`
}

// RotateRoot puts all keys of a running or stopped box under a new root key.
func RotateRoot(ctx context.Context, cfg Config, out io.Writer) (err error) {
	place, running, err := askRotate(ctx, cfg)
	if !running && err == nil {
		place, err = rotateStopped(ctx, cfg)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "all keys are under a new root key, which lies in: %s\n", map[string]string{keyring.PlaceFile: "a file of the data directory", keyring.PlaceTPM: "the TPM"}[place])
	return nil
}

func askRotate(ctx context.Context, c Config) (place string, running bool, err error) {
	resp, running, err := askControl(ctx, c, http.MethodPost, "/rotate-root")
	if !running || err != nil {
		return "", running, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	var end rotated
	if err := json.NewDecoder(resp.Body).Decode(&end); err != nil {
		return "", true, fmt.Errorf("answer of the running campuskeepd: %w", err)
	}
	if end.Error != "" {
		return end.Place, true, errors.New(end.Error)
	}
	return end.Place, true, nil
}

func rotateStopped(ctx context.Context, cfg Config) (place string, err error) {
	if err := checkCreated(cfg); err != nil {
		return "", err
	}
	a, err := Open(ctx, cfg, Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	stop := a.Base(ctx)
	defer func() { err = errors.Join(err, stop()) }()
	if err := a.rootKey.Confirm(ctx); err != nil {
		return "", err
	}
	return a.rootKey.Rotate(ctx)
}
