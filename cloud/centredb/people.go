package centredb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"campuskeep/shared/login"
)

// PutPerson creates or replaces by ID; a taken User is ErrExists.
func (s *DB) PutPerson(ctx context.Context, p Person) error {
	roles, err := json.Marshal(p.Roles)
	if err != nil {
		return fmt.Errorf("roles of %s: %w", p.ID, err)
	}
	_, err = s.exec(ctx, `INSERT INTO people (id, login, name, roles, password, disabled, secret) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET login = excluded.login, name = excluded.name, roles = excluded.roles, password = excluded.password, disabled = excluded.disabled, secret = excluded.secret`,
		p.ID, p.User, p.Name, string(roles), p.Password, flag(p.Disabled), p.Secret)
	if err != nil && s.e.taken(err) {
		return fmt.Errorf("user name of %s: %w", p.ID, ErrExists)
	}
	return err
}

const personColumns = "SELECT id, login, name, roles, password, disabled, secret FROM people "

func scanPerson(scan func(...any) error) (p Person, err error) {
	var roles string
	var disabled int
	if err := scan(&p.ID, &p.User, &p.Name, &roles, &p.Password, &disabled, &p.Secret); err != nil {
		return p, err
	}
	p.Disabled = disabled != 0
	return p, json.Unmarshal([]byte(roles), &p.Roles)
}

// Person reads one person.
func (s *DB) Person(ctx context.Context, id string) (Person, error) {
	p, err := scanPerson(s.read.QueryRowContext(ctx, s.q(personColumns+"WHERE id = ?"), id).Scan)
	return p, notFound(err, "person")
}

// PersonByUser reads a person by the log-in name.
func (s *DB) PersonByUser(ctx context.Context, user string) (Person, error) {
	p, err := scanPerson(s.read.QueryRowContext(ctx, s.q(personColumns+"WHERE login = ?"), user).Scan)
	return p, notFound(err, "person")
}

// ListPeople lists everybody by ID.
func (s *DB) ListPeople(ctx context.Context) (out []Person, err error) {
	err = s.rows(ctx, func(scan func(...any) error) error {
		p, err := scanPerson(scan)
		out = append(out, p)
		return err
	}, personColumns+"ORDER BY id")
	return out, err
}

// PutSession begins a session.
func (s *DB) PutSession(ctx context.Context, x Session) error {
	began, err := json.Marshal(x.Began)
	if err != nil {
		return err
	}
	used, err := json.Marshal(x.Used)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, "INSERT INTO sessions (token_hash, person, began, used, address) VALUES (?, ?, ?, ?, ?)", x.TokenHash, x.Person, string(began), string(used), x.Address)
	return err
}

// Session finds a session by the hash of its token.
func (s *DB) Session(ctx context.Context, tokenHash string) (Session, error) {
	x := Session{TokenHash: tokenHash}
	var began, used string
	err := s.read.QueryRowContext(ctx, s.q("SELECT person, began, used, address FROM sessions WHERE token_hash = ?"), tokenHash).Scan(&x.Person, &began, &used, &x.Address)
	if err := notFound(err, "session"); err != nil {
		return Session{}, err
	}
	return x, errors.Join(json.Unmarshal([]byte(began), &x.Began), json.Unmarshal([]byte(used), &x.Used))
}

// TouchSession notes a use.
func (s *DB) TouchSession(ctx context.Context, tokenHash string, used login.Stamp) error {
	b, err := json.Marshal(used)
	if err != nil {
		return err
	}
	return s.one(ctx, "UPDATE sessions SET used = ? WHERE token_hash = ?", string(b), tokenHash)
}

// DeleteSession ends a session; one that is not there is fine.
func (s *DB) DeleteSession(ctx context.Context, tokenHash string) error {
	_, err := s.exec(ctx, "DELETE FROM sessions WHERE token_hash = ?", tokenHash)
	return err
}

// DeleteSessionsOf ends all sessions of a person.
func (s *DB) DeleteSessionsOf(ctx context.Context, person string) error {
	_, err := s.exec(ctx, "DELETE FROM sessions WHERE person = ?", person)
	return err
}

// SessionsOf lists a person's sessions, the newest first.
func (s *DB) SessionsOf(ctx context.Context, person string) (out []Session, err error) {
	err = s.rows(ctx, func(scan func(...any) error) error {
		x := Session{Person: person}
		var began, used string
		if err := scan(&x.TokenHash, &began, &used, &x.Address); err != nil {
			return err
		}
		out = append(out, x)
		last := &out[len(out)-1]
		return errors.Join(json.Unmarshal([]byte(began), &last.Began), json.Unmarshal([]byte(used), &last.Used))
	}, "SELECT token_hash, began, used, address FROM sessions WHERE person = ?", person)
	slices.SortFunc(out, func(a, b Session) int { return b.Began.Wall.Compare(a.Began.Wall) })
	return out, err
}

// SetupCode is what is stored of the code for the first person.
func (s *DB) SetupCode(ctx context.Context) (hash []byte, until time.Time, err error) {
	var v string
	err = s.read.QueryRowContext(ctx, "SELECT v FROM meta WHERE k = 'setup_code'").Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read the set-up code: %w", err)
	}
	var row setupCode
	if err := json.Unmarshal([]byte(v), &row); err != nil {
		return nil, time.Time{}, fmt.Errorf("read the set-up code: %w", err)
	}
	return row.Hash, row.Until, nil
}

type setupCode struct {
	Hash  []byte    `json:"hash"`
	Until time.Time `json:"until"`
}

// PutSetupCode replaces the code for the first person; nil removes it.
func (s *DB) PutSetupCode(ctx context.Context, hash []byte, until time.Time) error {
	if hash == nil {
		_, err := s.exec(ctx, "DELETE FROM meta WHERE k = 'setup_code'")
		return err
	}
	v, err := json.Marshal(setupCode{hash, until})
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, "INSERT INTO meta (k, v) VALUES ('setup_code', ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v", string(v))
	return err
}

// Attempts reads the failed log-ins of a key.
func (s *DB) Attempts(ctx context.Context, key string) (a login.Attempts, err error) {
	var v string
	err = s.read.QueryRowContext(ctx, s.q("SELECT v FROM attempts WHERE k = ?"), key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return a, nil
	}
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal([]byte(v), &a)
}

// AllAttempts reads every key's failed log-ins.
func (s *DB) AllAttempts(ctx context.Context) (map[string]login.Attempts, error) {
	out := map[string]login.Attempts{}
	err := s.rows(ctx, func(scan func(...any) error) error {
		var k, v string
		if err := scan(&k, &v); err != nil {
			return err
		}
		var a login.Attempts
		if err := json.Unmarshal([]byte(v), &a); err != nil {
			return fmt.Errorf("failed log-ins of %s: %w", k, err)
		}
		out[k] = a
		return nil
	}, "SELECT k, v FROM attempts")
	return out, err
}

// SetAttempts writes them; the zero value removes the row.
func (s *DB) SetAttempts(ctx context.Context, key string, a login.Attempts) error {
	if a == (login.Attempts{}) {
		_, err := s.exec(ctx, "DELETE FROM attempts WHERE k = ?", key)
		return err
	}
	v, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, "INSERT INTO attempts (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v", key, string(v))
	return err
}

// AddAudit writes a line of the centre's own log.
func (s *DB) AddAudit(ctx context.Context, a Audit) error {
	_, err := s.exec(ctx, "INSERT INTO audit (at, actor, address, action, subject, result) VALUES (?, ?, ?, ?, ?, ?)", millis(a.At), a.Actor, a.Address, a.Action, a.Subject, a.Result)
	return err
}

// ListAudit lists the newest lines.
func (s *DB) ListAudit(ctx context.Context, limit int) (out []Audit, err error) {
	err = s.rows(ctx, func(scan func(...any) error) error {
		var a Audit
		var at int64
		if err := scan(&a.ID, &at, &a.Actor, &a.Address, &a.Action, &a.Subject, &a.Result); err != nil {
			return err
		}
		a.At = instant(at)
		out = append(out, a)
		return nil
	}, "SELECT id, at, actor, address, action, subject, result FROM audit ORDER BY id DESC LIMIT ?", limit)
	return out, err
}
