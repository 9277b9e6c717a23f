package appliance

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campuskeep/firmware/people"
	"campuskeep/firmware/site"
	"campuskeep/firmware/vault"
	"campuskeep/shared/account"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
)

// stocked is the data directory of a stopped box with something of everything: a person, a camera with credentials, a day
// of footage, an entry with a sealed part.
func stocked(t *testing.T) Config {
	t.Helper()
	c := testConfig(t)
	a, err := Open(t.Context(), c, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	end := a.Base(t.Context()) // a running box would ask whether the disk keeps what the camera records
	furnish(t, a)
	if err := errors.Join(end(), a.Close()); err != nil {
		t.Fatal(err)
	}
	_, stop := running(t, c)
	stop()
	return c
}

// copied is a configuration whose data directory is a copy.
func copied(t *testing.T, c Config) Config {
	t.Helper()
	to := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(to, os.DirFS(c.Appliance.Data)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(filepath.Join(to, "keys"), func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			err = os.Chmod(name, 0o600)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Appliance.Data = to
	return c
}

// Covers F11, I1 to I6: each of the box's own files, missing, empty, cut, garbled: the box refuses by name, or makes
// again what it says it can; check never panics and is never clean over it.
func TestEachOwnFileMissingEmptyCutOrGarbled(t *testing.T) {
	whole := stocked(t)
	rebuilt := map[string]bool{"campuskeepd.lock": true}
	var files []string
	for _, dir := range []string{".", "keys", "identity"} {
		list, err := os.ReadDir(filepath.Join(whole.Appliance.Data, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			if e.Type().IsRegular() && e.Name() != "index.db" { // the vault's own tests spoil that one
				files = append(files, filepath.Join(dir, e.Name()))
			}
		}
	}
	for _, want := range []string{"ledger.db", "keys/root", "keys/log", "keys/site", "keys/people.ring", "keys/footage.ring", "identity/office-root.pem", "identity/office-root.key"} {
		if !strings.Contains(strings.Join(files, " "), want) {
			t.Fatalf("%s is not there: %v", want, files)
		}
	}
	for _, file := range files {
		for _, how := range []string{"missing", "empty", "cut", "garbled"} {
			t.Run(file+" "+how, func(t *testing.T) {
				c := copied(t, whole)
				spoil(t, filepath.Join(c.Appliance.Data, file), how)
				var out bytes.Buffer
				found, err := Check(t.Context(), c, false, &out)
				if err == nil && found == 0 && !rebuilt[file] {
					t.Errorf("check is clean: %s", out.String())
				}
				if said := out.String() + errText(err); !rebuilt[file] && !strings.Contains(said, filepath.Base(file)) && !strings.Contains(said, "root key") {
					t.Errorf("check does not name it: %s", said)
				}
				again := copied(t, c)
				a, err := Open(t.Context(), again, Deps{})
				if rebuilt[file] {
					if err != nil {
						t.Fatalf("it can be made anew: %v", err)
					}
					if err := a.Close(); err != nil {
						t.Error(err)
					}
					return
				}
				if err == nil {
					t.Fatal("the box starts as if nothing had happened", a.Close())
				}
				if strings.Contains(err.Error(), "runtime error") || strings.Contains(err.Error(), "assertion") {
					t.Errorf("refused in words for programmers: %v", err)
				}
			})
		}
	}
}

func spoil(t *testing.T, file, how string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		switch how {
		case "missing":
			err = os.Remove(file)
		case "empty":
			err = os.Truncate(file, 0)
		case "cut":
			err = os.Truncate(file, int64(len(bytes.TrimRight(b, "\x00"))/2)) // a database has room behind its last page
		case "garbled":
			for i := range b {
				b[i] ^= byte(i*7 + 1)
			}
			err = os.WriteFile(file, b, 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Covers F11: one flipped bit of a key is noticed, not only one that spoils the form of its file.
func TestAFlippedBitOfAKeyIsRefused(t *testing.T) {
	whole := stocked(t)
	for _, file := range []string{"keys/site", "keys/log", "keys/people.ring", "keys/footage.ring", "identity/office-root.key", "identity/office-root.pem"} {
		c := copied(t, whole)
		name := filepath.Join(c.Appliance.Data, file)
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if a, err := Open(t.Context(), c, Deps{}); err == nil {
			t.Errorf("%s: the box starts (%v)", file, a.Close())
		}
	}
}

// A data directory of a program that kept no marks opens, and gets them.
func TestAnOlderDataDirectoryGetsItsMarks(t *testing.T) {
	c := stocked(t)
	if err := os.MkdirAll(filepath.Join(c.Appliance.Data, "vault", "c01", "2026-05-20"), 0o700); err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), c, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	stop := a.Base(t.Context())
	marks, err := a.Store.Marks()
	if err != nil || len(marks) < 6 {
		t.Fatalf("marks %v, %v", marks, err)
	}
	for name := range marks {
		if err := a.Store.Unmark(t.Context(), name, ledger.Draft{Actor: ledger.System, Via: ledger.ViaSystem, Kind: "config.change", Data: map[string]any{"what": "test"}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(stop(), a.Close()); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"keys/people.ring", "keys/footage.ring", "keys/site", "identity/office-root.pem"} {
		old := copied(t, c)
		spoil(t, filepath.Join(old.Appliance.Data, file), "missing")
		if a, err := Open(t.Context(), old, Deps{}); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("an older directory without %s: %v", file, err)
			if a != nil {
				t.Error(a.Close())
			}
		}
	}
	_, stopBox := running(t, c)
	stopBox()
	a, err = Open(t.Context(), c, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := a.Store.Marks()
	if err = errors.Join(err, a.Close()); err != nil || len(again) != len(marks) {
		t.Errorf("marks %v, %v", again, err)
	}
}

// Covers F13: a box without its ledger is not begun again under the same identity, an empty directory asks for init, and
// neither is touched by asking.
func TestNoNewHistoryUnderAnOldIdentity(t *testing.T) {
	c := stocked(t)
	spoil(t, filepath.Join(c.Appliance.Data, "ledger.db"), "missing")
	for name, try := range map[string]func(Config) error{
		"run":  func(c Config) error { return Serve(t.Context(), c, slog.New(slog.DiscardHandler)) },
		"init": func(c Config) error { return Init(t.Context(), c, slog.New(slog.DiscardHandler), "", &bytes.Buffer{}) },
		"check": func(c Config) error {
			var out bytes.Buffer
			n, err := Check(t.Context(), c, false, &out)
			if n > 0 {
				err = errors.New(out.String())
			}
			return err
		},
	} {
		if err := try(copied(t, c)); err == nil || !strings.Contains(err.Error(), "ledger.db is missing") {
			t.Errorf("%s without a ledger: %v", name, err)
		}
	}
	empty := c
	empty.Appliance.Data = t.TempDir()
	for name, try := range map[string]func() error{
		"run":         func() error { return Serve(t.Context(), empty, slog.New(slog.DiscardHandler)) },
		"check":       func() error { _, err := Check(t.Context(), empty, false, &bytes.Buffer{}); return err },
		"export-log":  func() error { return ExportLog(t.Context(), empty, &bytes.Buffer{}) },
		"rotate-root": func() error { return RotateRoot(t.Context(), empty, &bytes.Buffer{}) },
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), "campuskeepd init") {
			t.Errorf("%s in an empty directory: %v", name, err)
		}
	}
	if list, err := os.ReadDir(empty.Appliance.Data); err != nil || len(list) > 0 {
		t.Errorf("the empty directory holds %v, %v", list, err)
	}
}

// A file that is lost for good is given up by name, with an entry; a whole one is not.
func TestGivingUpALostFile(t *testing.T) {
	c := stocked(t)
	log := slog.New(slog.DiscardHandler)
	if err := GiveUp(t.Context(), c, "keys/site", log, &bytes.Buffer{}); err == nil {
		t.Error("a whole file was given up")
	}
	if err := GiveUp(t.Context(), c, "keys/log", log, &bytes.Buffer{}); err == nil {
		t.Error("the log's key was given up")
	}
	spoil(t, filepath.Join(c.Appliance.Data, "keys/footage.ring"), "garbled")
	spoil(t, filepath.Join(c.Appliance.Data, "identity/office-root.key"), "missing")
	for _, file := range []string{"keys/footage.ring", "identity/office-root.pem"} {
		if err := GiveUp(t.Context(), c, file, log, &bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
	}
	_, stop := running(t, c)
	stop()
	given := 0
	for _, e := range exported(t, c) {
		if e.Kind == "config.change" && strings.Contains(string(e.Data), "file.given_up") {
			given++
		}
	}
	if given != 3 {
		t.Errorf("%d entries of files given up, want 3", given)
	}
}

// Covers F3, F11: a box whose footage disk is not mounted does not start, it says so to anyone who asks, and a disk that is
// lost for good is given up with an entry.
func TestAFootageDiskThatIsNotMounted(t *testing.T) {
	c := stocked(t)
	filmed(t, c, func(context.Context, *vault.Vault) error { return nil })
	log := slog.New(slog.DiscardHandler)
	if err := GiveUp(t.Context(), c, "index.db", log, &bytes.Buffer{}); err == nil {
		t.Fatal("footage that is there was given up")
	}
	dir := filepath.Join(c.Appliance.Data, "vault")
	if err := errors.Join(os.Rename(dir, dir+".unmounted"), os.Mkdir(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), c, Deps{})
	var said bytes.Buffer
	found, checked := Check(t.Context(), c, false, &said)
	if checked == nil && found == 0 {
		t.Error("check is clean")
	}
	for _, text := range []string{errText(err), said.String() + errText(checked)} {
		if !strings.Contains(text, dir) || !strings.Contains(text, "is its disk mounted?") {
			t.Errorf("%q", text)
		}
	}
	if err := GiveUp(t.Context(), c, "index.db", log, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	_, end := running(t, c)
	end()
	var out bytes.Buffer
	if n, err := Check(t.Context(), c, false, &out); err != nil || n > 0 {
		t.Errorf("after it was given up: %v\n%s", err, out.String())
	}
}

func furnish(t *testing.T, a *Appliance) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	code, err := a.People.SetUpCode(ctx)
	if err != nil {
		t.Fatal(err)
	}
	first := people.Person{Login: "liang", Name: "梁牧", StaffNo: "2019-044", Unit: "信息中心", Roles: []account.Role{account.RoleStaff}}
	if _, err := a.People.SetUp(ctx, code, first, "correct horse 41 battery", ledger.From{Address: "10.0.0.7", Device: "browser"}); err != nil {
		t.Fatal(err)
	}
	cam := footage.Camera{ID: "c01", Name: "门口", Place: "gate", Area: footage.AreaGate, Custody: footage.CustodyVault, Main: "rtsp://127.0.0.1:9/c01", Policy: footage.Policy{Days: 30}}
	if err := a.Site.PutCamera(ctx, account.System, cam, &site.Login{User: "admin", Password: "secret"}); err != nil {
		t.Fatal(err)
	}
}

// filmed records a segment of a second into a stopped box; meanwhile sees the vault while it is open.
func filmed(t *testing.T, c Config, meanwhile func(context.Context, *vault.Vault) error) {
	t.Helper()
	a, err := Open(t.Context(), c, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Vault.Run(ctx) }()
	w, err := begun(a.Vault)
	if err == nil {
		err = errors.Join(w.Close(), a.Vault.Flush(ctx), meanwhile(ctx, a.Vault))
	}
	stop()
	if err := errors.Join(err, <-ended, a.Close()); err != nil {
		t.Fatal(err)
	}
}

// begun is a segment with one fragment.
func begun(v *vault.Vault) (*vault.Writer, error) {
	w, err := v.Begin(vault.Meta{Camera: "c01", Day: "2026-05-20", Boot: "b", Codec: "h264", Init: []byte("init"), Wall: time.Unix(1779200000, 0)})
	if err == nil {
		err = w.Fragment(vault.Fragment{FragmentInfo: footage.FragmentInfo{To: time.Second, Key: true}, Data: []byte("data")})
	}
	return w, err
}
