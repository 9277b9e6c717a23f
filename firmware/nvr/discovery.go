package nvr

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	"campuskeep/firmware/site"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
)

// Discovery is the state of the questions to an NVR that is not registered yet.
type Discovery struct {
	ID     string
	Device Device // as far as it was stated
	Step   string // what is asked just now: info, channels, tracks, clock; empty: it is over
	Found  Findings
	Fault  Fault // why it stopped
	Detail string
}

// Done says whether nothing more is asked.
func (l Discovery) Done() bool { return l.Step == "" }

// discovery keeps the password, which goes nowhere else before the NVR is registered.
type discovery struct {
	Discovery
	person  string
	login   site.Login
	started time.Duration // monotonic
}

const (
	discoveryTime  = time.Hour // until it is forgotten, with its password
	maxDiscoveries = 8
)

// ErrNoDiscovery: the person has started no such discovery, or its hour is over.
var ErrNoDiscovery = errors.New("nvr: this look at an NVR is forgotten; begin again")

// StartDiscovery starts to ask an NVR for its identity, channels, tracks and clock, and returns at once; [Supervisor.Discovery] gives its progress.
// It stops at the first refusal of the password. Errors: fielderr.Errors, *account.Refused.
func (r *Supervisor) StartDiscovery(by account.Who, d Device, login site.Login) (string, error) {
	if err := r.may(by, account.ActNVRsEdit); err != nil {
		return "", err
	}
	if err := r.validate(d, &login); err != nil {
		return "", err
	}
	l := &discovery{Discovery: Discovery{ID: strings.ToLower(rand.Text()), Device: d, Step: "info"}, person: by.ID, login: login, started: r.o.Clock.Now().Mono}
	r.mu.Lock()
	r.expireDiscoveries(l.started, maxDiscoveries-1)
	r.discoveries[l.ID] = l
	r.mu.Unlock()
	return l.ID, r.enqueue(func(ctx context.Context) {
		found, err := r.discover(ctx, Target{Device: d, Login: login}, func(step string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			l.Step = step
		})
		r.mu.Lock()
		defer r.mu.Unlock()
		l.Step, l.Found = "", found
		if err != nil {
			l.Fault, l.Detail = faultOf(err), detail(err)
			r.o.Log.Warn("an NVR could not be looked at", "err", err)
		}
	})
}

// expireDiscoveries drops what is old, and the oldest beyond a number. The caller holds mu.
func (r *Supervisor) expireDiscoveries(now time.Duration, most int) {
	var all []*discovery
	for id, l := range r.discoveries {
		if now-l.started > discoveryTime {
			delete(r.discoveries, id)
			continue
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *discovery) int { return cmp.Compare(a.started, b.started) })
	for ; len(all) > most; all = all[1:] {
		delete(r.discoveries, all[0].ID)
	}
}

// Discovery gives the state of a person's discovery; ErrNoDiscovery when the person has none of that id.
func (r *Supervisor) Discovery(by account.Who, id string) (Discovery, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expireDiscoveries(r.o.Clock.Now().Mono, maxDiscoveries)
	l := r.discoveries[id]
	if l == nil || l.person != by.ID {
		return Discovery{}, ErrNoDiscovery
	}
	return l.Discovery, nil
}

// Login gives the password of a discovery, for the cameras that are recorded through the NVR.
func (r *Supervisor) Login(by account.Who, id string) (site.Login, error) {
	if _, err := r.Discovery(by, id); err != nil {
		return site.Login{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.discoveries[id].login, nil
}

// Register registers a discovered NVR with the password that was used, and ends the discovery. The cameras that are
// coming are registered by commit, in the same change.
func (r *Supervisor) Register(ctx context.Context, by account.Who, id string, d Device, coming []footage.Camera, commit Commit) error {
	login, err := r.Login(by, id)
	if err != nil {
		return err
	}
	if err := r.put(ctx, by, d, &login, coming, commit); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.discoveries, id)
	return nil
}
