package school

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/keyring"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/firmware/people"
	"campuskeep/firmware/records"
	"campuskeep/firmware/sealedfiles"
	"campuskeep/firmware/site"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/clock/clocktest"
	"campuskeep/shared/login"
)

// The demo school is whole, everybody can log in, and nobody's name is readable on the disk.
func TestFill(t *testing.T) {
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fsys, err := disk.Real(dir)
	must(err)
	root, err := keyring.OpenRoot(fsys)
	must(err)
	ring, err := root.Ring("people")
	must(err)
	now := clocktest.New(clock.Reading{Wall: time.Date(2026, 5, 23, 1, 0, 0, 0, time.UTC), State: clock.Trusted, Boot: "boot-1", Mono: time.Hour}) // a Saturday
	st, err := ledgerdb.Open(ledgerdb.Options{Dir: dir, Origin: "campuskeep/ck-demo", Clock: now, People: ring,
		Signer: ed25519.NewKeyFromSeed([]byte("campuskeep test log signing key!"))})
	must(err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- st.Run(ctx) }()
	defer func() {
		cancel()
		must(<-done)
		must(st.Close())
	}()
	zone, err := time.LoadLocation("Asia/Shanghai")
	must(err)
	p, err := people.Open(ctx, people.Options{Store: st, Data: fsys, Clock: now, Zone: zone, Cost: login.Params{Memory: 64, Time: 1, Threads: 1}})
	must(err)
	s, err := site.Open(ctx, site.Options{Store: st, Clock: now})
	must(err)

	files, err := sealedfiles.Open(sealedfiles.Options{Store: st, Data: fsys, Keys: ring, Clock: now})
	must(err)
	r, err := records.Open(records.Options{Store: st, Files: files, Keys: ring, People: p, Clock: now, Zone: zone})
	must(err)
	f, err := Fill(ctx, Options{People: p, Site: s, Records: r, Clock: now, Zone: zone, Today: "2026-05-23",
		Cameras:     []string{"rtsp://127.0.0.1:8554/main", "rtsp://127.0.0.1:8555/main", "rtsp://127.0.0.1:8556/main"},
		CameraLogin: site.Login{User: "admin", Password: "demo-camera"}, ReaderPort: "/dev/ttyS9"})
	must(err)
	if p.Students() != Students || len(p.Classes("2026-05-23")) != Classes || len(f.Cards) != Students || len(s.Cameras()) != 3 {
		t.Errorf("%d students, %d classes, %d cards", p.Students(), len(p.Classes("2026-05-23")), len(f.Cards))
	}
	for _, c := range f.Cards {
		card, err := attendance.ParseCard(c.UID)
		must(err)
		if id, class, ok := p.ByCard(card.Hash(p.CardKey())); !ok || id != c.Student || class != c.Class {
			t.Fatalf("card %s belongs to %s in %s, want %s in %s", c.UID, id, class, c.Student, c.Class)
		}
	}
	if pupil := f.Cards[0].Student; len(r.Care(pupil)) != 1 || len(r.Concerns(account.System, pupil, false)) != 1 {
		t.Error("the demo has no pupil with a care instruction and a concern")
	}
	must(f.WriteFiles(t.TempDir()))
	seen := map[account.Role]bool{}
	for _, a := range f.Accounts {
		session, err := p.Login(ctx, people.Credentials{User: a.Login, Password: Password, Code: a.Code(now.Now().Wall)}, from)
		must(err)
		if session.MustPassword || session.MustFactor {
			t.Errorf("%s must still do something: %+v", a.Login, session)
		}
		for _, r := range a.Roles {
			seen[r] = true
		}
		if len(session.Actor.Classes) == 0 && session.Actor.Has(account.RoleClassTeacher) {
			t.Errorf("class teacher %s has no class", a.Login)
		}
	}
	for _, r := range people.StaffRoles {
		if !seen[r] {
			t.Errorf("nobody is %s", r)
		}
	}
	if day, _, err := s.Calendar().Day("2026-05-23"); err != nil || !day.School {
		t.Errorf("the day of the demo is no school day: %+v, %v", day, err)
	}
	if l, err := s.Credentials("c01"); err != nil || l.Password != "demo-camera" {
		t.Errorf("credentials of c01: %v", err)
	}
	must(st.Check(ctx, func(f ledgerdb.Finding) { t.Errorf("check: %+v", f) }))

	var readable [][]byte
	for _, c := range p.Classes("2026-05-23") {
		for _, s := range p.Roster(c.ID, "2026-05-23") {
			readable = append(readable, []byte(s.Name), []byte(s.IDNumber), []byte(s.Guardians[0].Name))
		}
	}
	readable = append(readable, []byte("demo-camera"), []byte(Password), []byte("周以宁"))
	must(filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		for _, r := range readable {
			if bytes.Contains(b, r) {
				t.Errorf("%s holds %q in clear", d.Name(), r)
			}
		}
		return err
	}))
}
