package console

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"campuskeep/cloud/centredb"
	"campuskeep/cloud/console/words"
	"campuskeep/shared/account"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/login"
)

// A person's secret lies in the database sealed under a key that follows from the centre's key file, bound to the
// person's id.

func sealer(key []byte) (cipher.AEAD, error) {
	k, err := hkdf.Key(sha256.New, key, nil, "campuskeep console secrets", 32)
	if err != nil {
		return nil, fmt.Errorf("key of the console's secrets: %w", err)
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, fmt.Errorf("key of the console's secrets: %w", err)
	}
	return cipher.NewGCM(block)
}

// derivedFactor is the second factor of a person of an earlier build, who has no secret stored.
func derivedFactor(key []byte, person string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("campuskeep console totp\x00" + person))
	return m.Sum(nil)[:20]
}

// unsealed is a person's secret. The last code of a person of an earlier build is among the failed log-ins.
func unsealed(ctx context.Context, people centredb.People, key []byte, p centredb.Person) (s login.Secret, err error) {
	if p.Secret == nil {
		last, err := people.Attempts(ctx, "c:"+p.ID)
		if err != nil {
			return s, fmt.Errorf("read the last code: %w", err)
		}
		return login.Secret{Password: p.Password, Factor: derivedFactor(key, p.ID), LastStep: login.Step(last.Last.Wall)}, nil
	}
	a, err := sealer(key)
	if err != nil {
		return s, err
	}
	if len(p.Secret) < a.NonceSize() {
		return s, fmt.Errorf("secret of %s: %w", p.ID, centredb.ErrDamaged)
	}
	plain, err := a.Open(nil, p.Secret[:a.NonceSize()], p.Secret[a.NonceSize():], []byte(p.ID))
	if err != nil {
		return s, fmt.Errorf("secret of %s does not open with this centre's key: %w", p.ID, centredb.ErrDamaged)
	}
	if err := json.Unmarshal(plain, &s); err != nil {
		return s, fmt.Errorf("secret of %s: %w", p.ID, err)
	}
	s.Password = p.Password
	return s, nil
}

// sealed puts a secret into a person's row.
func sealed(key []byte, p centredb.Person, s login.Secret) (centredb.Person, error) {
	a, err := sealer(key)
	if err != nil {
		return p, err
	}
	p.Password = s.Password
	s.Password = "" // it is a hash, and has its own column
	plain, err := json.Marshal(s)
	if err != nil {
		return p, fmt.Errorf("secret of %s: %w", p.ID, err)
	}
	nonce := make([]byte, a.NonceSize())
	rand.Read(nonce)
	p.Secret = a.Seal(nonce, nonce, plain, []byte(p.ID))
	return p, nil
}

// Added is what a new person is notified, once.
type Added struct {
	Password string // one-time; empty when it was chosen
	Factor   string // secret of the second factor; empty when the person sets it up at the first log-in
}

// Add creates a person of the centre or resets one. Without a password the person gets a one-time one, and chooses
// password and second factor at the first log-in; with one, both are ready. It is a line of the centre's log, by who
// could give the command; without the line nothing is given out.
func Add(ctx context.Context, people centredb.People, key []byte, p centredb.Person, password string, at time.Time) (out Added, err error) {
	for _, r := range p.Roles {
		if r != account.RoleCentreStaff && r != account.RoleCentreAdmin {
			return out, fielderr.Errors{{Field: "role", Rule: "err.role", Args: []any{string(account.RoleCentreStaff) + ", " + string(account.RoleCentreAdmin)}}}
		}
	}
	s := login.Secret{Must: true}
	if password == "" {
		out.Password = login.OneTimePassword()
		s.Password = login.Hash(out.Password, login.Cost)
	} else {
		if errs := login.CheckPassword("password", password, p.User); len(errs) > 0 {
			return out, errs
		}
		s = login.Secret{Password: login.Hash(password, login.Cost), Factor: login.NewSecret()}
		out.Factor = login.SecretText(s.Factor)
	}
	if p, err = sealed(key, p, s); err != nil {
		return out, err
	}
	line := centredb.Audit{At: at, Actor: words.ActorCommand, Action: "person.add", Subject: p.ID, Result: "ok"}
	if _, err := people.Person(ctx, p.ID); err == nil {
		line.Action = "person.reset"
	} else if !errors.Is(err, centredb.ErrNotFound) {
		return out, fmt.Errorf("read person %s: %w", p.ID, err)
	}
	if err := people.PutPerson(ctx, p); err != nil {
		return out, fmt.Errorf("add person %s: %w", p.ID, err)
	}
	if err := people.AddAudit(ctx, line); err != nil {
		return Added{}, fmt.Errorf("write the centre's log: %w", err)
	}
	if err := people.DeleteSessionsOf(ctx, p.ID); err != nil { // of the password before
		return out, fmt.Errorf("end the sessions of %s: %w", p.ID, err)
	}
	return out, nil
}

// errMeanwhile: somebody else changed the person, e.g. used the same code.
var errMeanwhile = errors.New("console: the person was changed meanwhile")

// change stores a person's secret, unless it is no longer what was read.
func (c *Console) change(ctx context.Context, was centredb.Person, s login.Secret) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	now, err := c.d.Store.Person(ctx, was.ID)
	if err != nil {
		return fmt.Errorf("read person %s: %w", was.ID, err)
	}
	if !bytes.Equal(now.Secret, was.Secret) || now.Password != was.Password {
		return errMeanwhile
	}
	p, err := sealed(c.d.Key, now, s)
	if err != nil {
		return err
	}
	if err := c.d.Store.PutPerson(ctx, p); err != nil {
		return fmt.Errorf("storing the secret of %s: %w", p.ID, err)
	}
	return nil
}
