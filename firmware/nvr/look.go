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

// Look is an installer's look at an NVR that is not registered yet.
type Look struct {
	ID     string
	Device Device // as far as it was stated
	Step   string // what is asked just now: info, channels, tracks, clock; empty: it is over
	Found  Discovery
	Fault  Fault // why it stopped
	Detail string
}

// Over says whether nothing more is asked.
func (l Look) Over() bool { return l.Step == "" }

// look keeps the password, which goes nowhere else before the NVR is registered.
type look struct {
	Look
	person string
	login  site.Login
	begun  time.Duration // monotonic
}

const (
	lookTime  = time.Hour // until it is forgotten, with its password
	mostLooks = 8
)

// ErrNoLook: there is no such look of this person, or its hour is over.
var ErrNoLook = errors.New("nvr: this look at an NVR is forgotten; begin again")

// Look begins to ask an NVR what it is and what stands behind it, and returns at once; [Room.Looked] tells how it goes.
// It stops at the first refusal of the password. Errors: fielderr.Errors, *account.Refused.
func (r *Room) Look(by account.Who, d Device, login site.Login) (string, error) {
	if err := r.may(by, account.ActNVRsEdit); err != nil {
		return "", err
	}
	if err := r.validate(d, &login); err != nil {
		return "", err
	}
	l := &look{Look: Look{ID: strings.ToLower(rand.Text()), Device: d, Step: "info"}, person: by.ID, login: login, begun: r.o.Clock.Now().Mono}
	r.mu.Lock()
	r.forgetLooks(l.begun, mostLooks-1)
	r.looks[l.ID] = l
	r.mu.Unlock()
	return l.ID, r.begin(func(ctx context.Context) {
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

// forgetLooks drops what is old, and the oldest beyond a number. The caller holds mu.
func (r *Room) forgetLooks(now time.Duration, most int) {
	var all []*look
	for id, l := range r.looks {
		if now-l.begun > lookTime {
			delete(r.looks, id)
			continue
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *look) int { return cmp.Compare(a.begun, b.begun) })
	for ; len(all) > most; all = all[1:] {
		delete(r.looks, all[0].ID)
	}
}

// Looked tells how a person's look goes; ErrNoLook when there is none of theirs.
func (r *Room) Looked(by account.Who, id string) (Look, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgetLooks(r.o.Clock.Now().Mono, mostLooks)
	l := r.looks[id]
	if l == nil || l.person != by.ID {
		return Look{}, ErrNoLook
	}
	return l.Look, nil
}

// Login is the password of a look, for the cameras that are recorded through the NVR.
func (r *Room) Login(by account.Who, id string) (site.Login, error) {
	if _, err := r.Looked(by, id); err != nil {
		return site.Login{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.looks[id].login, nil
}

// Adopt registers what a person looked at, with the password that was used, and forgets the look. The cameras that are
// coming are registered by commit, in the same change.
func (r *Room) Adopt(ctx context.Context, by account.Who, id string, d Device, coming []footage.Camera, commit Commit) error {
	login, err := r.Login(by, id)
	if err != nil {
		return err
	}
	if err := r.register(ctx, by, d, &login, coming, commit); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.looks, id)
	return nil
}
