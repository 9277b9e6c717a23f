package login

import (
	"errors"
	"strings"
	"testing"
	"time"

	"campuskeep/shared/clock"
)

func at(wall string, mono time.Duration) clock.Reading {
	t, err := time.Parse(time.RFC3339, wall)
	if err != nil {
		panic(err)
	}
	return clock.Reading{Wall: t, State: clock.Trusted, Boot: "b1", Mono: mono}
}

// Covers M3: what is stored of a password lets nobody in, and states its own costs.
func TestPasswordHash(t *testing.T) {
	cheap := Params{Memory: 64, Time: 1, Threads: 1}
	h := Hash("梧桐树下的书包", cheap)
	if strings.Contains(h, "梧桐") || !strings.HasPrefix(h, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Fatalf("hash %q", h)
	}
	if h == Hash("梧桐树下的书包", cheap) {
		t.Error("two hashes of one password are the same: no salt")
	}
	for _, c := range []struct {
		password   string
		want       Params
		ok, rehash bool
	}{
		{"梧桐树下的书包", cheap, true, false},
		{"梧桐树下的书包", Params{Memory: 128, Time: 1, Threads: 1}, true, true},
		{"梧桐树下的书", cheap, false, false},
		{"", cheap, false, false},
	} {
		ok, rehash, err := Verify(c.password, h, c.want)
		if err != nil || ok != c.ok || rehash != c.rehash {
			t.Errorf("Verify(%q) = %v, %v, %v", c.password, ok, rehash, err)
		}
	}
}

// A stored row may be damaged or planted: it must neither pass nor exhaust the board.
func TestStrangeHashesAreRefused(t *testing.T) {
	for _, bad := range []string{
		"", "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAA", "$argon2id$v=18$m=64,t=1,p=1$c29tZXNhbHQ$AAAA",
		"$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=64,t=1,p=1 $c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	} {
		if _, _, err := Verify("x", bad, Cost); !errors.Is(err, ErrHash) {
			t.Errorf("Verify with stored %q: %v, want ErrHash", bad, err)
		}
	}
}

// Covers M3.
func TestPasswordPolicy(t *testing.T) {
	for _, c := range []struct{ password, rule string }{
		{"梧桐树下的书包很旧了", ""}, // ten characters, thirty bytes
		{"kabel-tasse-19", ""},
		{"short-one", "err.password_short"},
		{strings.Repeat("长", 129), "err.password_long"},
		{"zhouyining", "err.password_is_name"},
		{"my-ZhouYining-1", "err.password_is_name"},
		{"1234567890", "err.password_common"},
		{"Password123", "err.password_common"},
		{"aaaaaabbbbbb", "err.password_common"},
		{"with\x00control-", "err.password_characters"},
		{"not utf8 \xff\xfe\xfd", "err.password_characters"},
	} {
		errs := CheckPassword("password", c.password, "ZhouYining")
		got := ""
		if len(errs) > 0 {
			got = errs[0].Rule
		}
		if got != c.rule || len(errs) > 1 {
			t.Errorf("CheckPassword(%q) = %v, want %q", c.password, errs, c.rule)
		}
		if strings.Contains(errs.Error(), c.password) && len(errs) > 0 {
			t.Errorf("the message repeats the password %q", c.password)
		}
	}
}

// The vectors of RFC 6238, appendix B (SHA-1); ours are the last six of their eight digits.
func TestCodesMatchTheRFC(t *testing.T) {
	secret := []byte("12345678901234567890")
	for unix, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471",
		1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		if got := Code(secret, Step(time.Unix(unix, 0))); got != want {
			t.Errorf("code at %d = %s, want %s", unix, got, want)
		}
	}
}

func TestOneTimeCodes(t *testing.T) {
	secret := NewSecret()
	now := at("2026-05-20T01:42:10Z", time.Hour)
	here := Step(now.Wall)

	step, err := VerifyCode(secret, " "+Code(secret, here)[:3]+" "+Code(secret, here)[3:], now, 0)
	if err != nil || step != here {
		t.Fatalf("the code of now: step %d, %v", step, err)
	}
	if _, err := VerifyCode(secret, Code(secret, here), now, step); !errors.Is(err, ErrCodeUsed) {
		t.Errorf("the same code again: %v, want ErrCodeUsed", err)
	}
	if _, err := VerifyCode(secret, Code(secret, here-1), now, step); !errors.Is(err, ErrCodeUsed) {
		t.Errorf("an older code than one used: %v, want ErrCodeUsed", err)
	}
	if _, err := VerifyCode(secret, Code(secret, here+1), now, step); err != nil {
		t.Errorf("the next code, phone a little ahead: %v", err)
	}
	if _, err := VerifyCode(secret, Code(secret, here-3), now, 0); !errors.Is(err, ErrCodeWrong) {
		t.Errorf("a code 90 s old with a sure clock: %v, want ErrCodeWrong", err)
	}
	unsure := now
	unsure.Uncertainty = 80 * time.Second
	if _, err := VerifyCode(secret, Code(secret, here-3), unsure, 0); err != nil {
		t.Errorf("a code 90 s off with a clock unsure by 80 s: %v", err)
	}
	unsure.Uncertainty = time.Hour
	if _, err := VerifyCode(secret, Code(secret, here), unsure, 0); !errors.Is(err, ErrClockWorse) {
		t.Errorf("clock unsure by an hour: %v, want ErrClockWorse", err)
	}
	for _, bad := range []string{"", "12345", "1234567", "abcdef"} {
		if _, err := VerifyCode(secret, bad, now, 0); !errors.Is(err, ErrCodeWrong) {
			t.Errorf("code %q: %v", bad, err)
		}
	}
}

func TestRecoveryCodesWorkOnce(t *testing.T) {
	codes, hashes := NewRecoveryCodes()
	if len(codes) != RecoveryCodes {
		t.Fatalf("%d codes", len(codes))
	}
	typed := strings.ToLower(strings.ReplaceAll(codes[3], "-", " "))
	if !LooksLikeRecovery(typed) || LooksLikeRecovery("123 456") {
		t.Error("recovery and one-time codes are not told apart")
	}
	left, ok := UseRecovery(typed, hashes)
	if !ok || len(left) != RecoveryCodes-1 {
		t.Fatalf("a good code: %v, %d left", ok, len(left))
	}
	if _, ok := UseRecovery(codes[3], left); ok {
		t.Error("a recovery code worked twice")
	}
	if _, ok := UseRecovery("0000-0000-0000-0000", left); ok {
		t.Error("a made-up recovery code worked")
	}
}

func TestSessionEnds(t *testing.T) {
	rules := DefaultSession
	began := at("2026-05-20T00:00:00Z", time.Hour)
	for _, c := range []struct {
		name  string
		used  time.Duration // after began
		now   clock.Reading
		want  error
		uncer time.Duration
	}{
		{name: "fresh", now: at("2026-05-20T00:10:00Z", time.Hour+10*time.Minute)},
		{name: "idle", now: at("2026-05-20T00:31:00Z", time.Hour+31*time.Minute), want: ErrSessionIdle},
		{name: "kept in use", used: 11 * time.Hour, now: at("2026-05-20T11:10:00Z", 12*time.Hour+10*time.Minute)},
		{name: "too old", used: 12 * time.Hour, now: at("2026-05-20T12:00:00Z", 13*time.Hour), want: ErrSessionOld},
		{name: "wall clock stepped ahead, same boot", now: at("2026-06-20T00:10:00Z", time.Hour+10*time.Minute)},
		{name: "wall clock stepped back, same boot, idle", now: at("2026-05-19T00:10:00Z", 2*time.Hour), want: ErrSessionIdle},
		{name: "other boot, a minute later", now: clock.Reading{Wall: began.Wall.Add(time.Minute), Boot: "b2"}},
		{name: "other boot, clock went back", now: clock.Reading{Wall: began.Wall.Add(-time.Hour), Boot: "b2"}, want: ErrSessionOld},
	} {
		s := StampOf(began)
		u := s
		u.Wall, u.Mono = u.Wall.Add(c.used), u.Mono+c.used
		if err := rules.Check(s, u, c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	token, hash := NewToken()
	if got, ok := HashToken(token); !ok || got != hash || strings.Contains(hash, token) {
		t.Errorf("token and hash: %v", ok)
	}
	for _, bad := range []string{"", "x", token + "A", token[:len(token)-1], token + "="} {
		if _, ok := HashToken(bad); ok {
			t.Errorf("token %q taken", bad)
		}
	}
}

// Covers F11: guessing is slowed, a colleague cannot be kept out for long.
func TestLockOut(t *testing.T) {
	var a Attempts
	now := at("2026-05-20T00:00:00Z", 0)
	var locks []time.Duration
	for range 12 {
		var begins bool
		a, begins = AccountLock.Failed(a, now)
		if begins != (a.Locked(now) > 0) {
			t.Fatal("begins and Locked disagree")
		}
		locks = append(locks, a.Locked(now))
	}
	m := time.Minute
	want := []time.Duration{0, 0, 0, 0, m, 2 * m, 4 * m, 8 * m, 15 * m, 15 * m, 15 * m, 15 * m}
	for i := range want {
		if locks[i] != want[i] {
			t.Fatalf("locks %v, want %v", locks, want)
		}
	}
	back := now
	back.Wall, back.Boot = back.Wall.Add(-time.Hour), "b2"
	if a.Locked(back) != 15*m {
		t.Error("a restart with a clock gone back opened the lock")
	}
	later := now
	later.Mono += 15 * m
	if a.Locked(later) != 0 {
		t.Error("still locked after the greatest lock")
	}
	later.Mono = 24 * time.Hour
	if a, _ = AccountLock.Failed(a, later); a.Failures != 1 {
		t.Errorf("%d failures count after a quiet day, want 1", a.Failures)
	}
	for range 1000 {
		if a, _ = AccountLock.Failed(a, later); a.Locked(later) > AccountLock.Longest {
			t.Fatal("lock beyond its bound")
		}
	}
}

func FuzzVerifyStoredHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, stored string) {
		p, salt, sum, err := parsePHC(stored)
		if err == nil && (p.Memory > maxCost.Memory || len(salt) == 0 || len(sum) < 16) {
			t.Errorf("accepted %q", stored)
		}
	})
}

func FuzzHashToken(f *testing.F) {
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, token string) {
		if h, ok := HashToken(token); ok && len(h) != 64 {
			t.Errorf("hash %q", h)
		}
	})
}
