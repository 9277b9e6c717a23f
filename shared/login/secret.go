package login

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"campuskeep/shared/clock"
)

// Outcomes of a log-in that are no success.
var (
	// ErrRefused: the name or the password is wrong, or the account is disabled; which of them is not said.
	ErrRefused = errors.New("login: refused")
	// ErrCodeNeeded: the password is right, a one-time code is still needed. Not a failure.
	ErrCodeNeeded = errors.New("login: one-time code needed")
	// ErrCodeRefused: the code is wrong or was used.
	ErrCodeRefused = errors.New("login: one-time code refused")
)

// Secret is what lets one person in. Anyone who keeps it keeps it sealed.
type Secret struct {
	Password string    `json:"password"`            // PHC string
	Set      time.Time `json:"set"`                 // when the password was set
	Must     bool      `json:"must,omitempty"`      // it was set by somebody else
	Factor   []byte    `json:"factor,omitempty"`    // secret of the second factor in use
	Pending  []byte    `json:"pending,omitempty"`   // one that no code has confirmed yet
	LastStep int64     `json:"last_step,omitempty"` // of the last code taken; none up to it works again
	Recovery [][]byte  `json:"recovery,omitempty"`  // hashes of the codes left
}

// What a person has proven beside the password.
const (
	FactorNone     = "password"
	FactorCode     = "totp"
	FactorRecovery = "recovery"
)

// Account is whom a log-in name represents. The zero value is nobody: verifying takes as long.
type Account struct {
	Known    bool
	Disabled bool
	Secret   Secret
}

// Proof is what the credentials of a log-in came to.
type Proof struct {
	Factor  string // one of the Factor constants; empty when refused
	Changed bool   // Secret must be stored: a code was used, or the password was hashed with today's costs
	Secret  Secret
	Reason  string // code of a failure: unknown, password, disabled, code, code_used
}

// Verifier holds credentials against accounts.
type Verifier struct {
	Cost  Params
	decoy string // verified where there is no password, so that the answer takes as long
}

// NewVerifier makes one whose new hashes have this cost.
func NewVerifier(cost Params) Verifier { return Verifier{cost, Hash("no password", cost)} }

// Verify holds a password and a code against an account: ErrRefused, ErrCodeNeeded, ErrCodeRefused, ErrClockWorse. A
// failure that counts has a Reason. It hashes: call it inside [Guard.Hash].
func (v Verifier) Verify(a Account, password, code string, now clock.Reading) (Proof, error) {
	stored := a.Secret.Password
	if stored == "" {
		stored = v.decoy
	}
	ok, rehash, err := Verify(password, stored, v.Cost)
	switch {
	case err != nil:
		return Proof{}, fmt.Errorf("check a password: %w", err)
	case !a.Known:
		return Proof{Reason: "unknown"}, ErrRefused
	case !ok || a.Secret.Password == "":
		return Proof{Reason: "password"}, ErrRefused
	case a.Disabled:
		return Proof{Reason: "disabled"}, ErrRefused
	}
	s := a.Secret
	if rehash {
		s.Password = Hash(password, v.Cost)
	}
	factor, err := s.Use(code, now)
	switch {
	case errors.Is(err, ErrCodeUsed):
		return Proof{Reason: "code_used"}, ErrCodeRefused
	case errors.Is(err, ErrCodeWrong) && now.State == clock.Suspect && !LooksLikeRecovery(code):
		return Proof{Reason: "code"}, ErrClockWorse // it may be the clock that is wrong; it counts as a guess all the same
	case errors.Is(err, ErrCodeWrong):
		return Proof{Reason: "code"}, ErrCodeRefused
	case err != nil:
		return Proof{}, err
	}
	return Proof{Factor: factor, Changed: rehash || factor != FactorNone, Secret: s}, nil
}

// Use checks the second factor of somebody whose password was right, and notes what was used: ErrCodeNeeded,
// ErrCodeWrong, ErrCodeUsed, ErrClockWorse.
func (s *Secret) Use(code string, now clock.Reading) (factor string, err error) {
	switch {
	case len(s.Factor) == 0:
		return FactorNone, nil
	case strings.TrimSpace(code) == "":
		return "", ErrCodeNeeded
	case LooksLikeRecovery(code):
		left, ok := UseRecovery(code, s.Recovery)
		if !ok {
			return "", ErrCodeWrong
		}
		s.Recovery = left
		return FactorRecovery, nil
	}
	// In doubt too: the reading follows the line that was trusted in this boot, or is not before the last trusted time
	// on record, so no code of the past comes to life again. If the clock is off, a right code is refused.
	step, err := VerifyCode(s.Factor, code, now, s.LastStep)
	if err != nil {
		return "", err
	}
	s.LastStep = step
	return FactorCode, nil
}

// ErrNotBegun: no new second factor waits for its first code.
var ErrNotBegun = errors.New("login: no second factor was begun")

// Confirm takes the pending second factor into use by a code of it, and gives the new recovery codes, shown only this
// once: ErrNotBegun, ErrClockWorse, ErrCodeWrong.
func (s *Secret) Confirm(code string, now clock.Reading) (recovery []string, err error) {
	if len(s.Pending) == 0 {
		return nil, ErrNotBegun
	}
	step, err := VerifyCode(s.Pending, code, now, 0)
	if err != nil {
		return nil, err
	}
	recovery, hashes := NewRecoveryCodes()
	s.Factor, s.Pending, s.LastStep, s.Recovery = s.Pending, nil, step, hashes
	return recovery, nil
}

// OneTimePassword is 60 random bits in three groups.
func OneTimePassword() string { return randomCode()[:14] }
