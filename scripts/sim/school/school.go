// Package school fills an empty appliance with the demo school 青榆实验学校: staff in every role, twelve classes,
// five hundred pupils with cards, cameras, a reader, places and a calendar.
//
// It goes through the product's own packages as an installer and the staff would, so that everything it makes has
// its entries in the log. All people and numbers are invented: identity numbers carry the county code 99, which is
// given to nobody. It must never be part of an installation.
package school

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"campuskeep/firmware/people"
	"campuskeep/firmware/records"
	"campuskeep/firmware/site"
	"campuskeep/shared/account"
	"campuskeep/shared/attendance"
	"campuskeep/shared/clock"
	"campuskeep/shared/footage"
	"campuskeep/shared/ledger"
	"campuskeep/shared/login"
	"campuskeep/shared/student"
)

// Name of the school.
const Name = "青榆实验学校"

// Password of every demo account.
const Password = "qingyu-demo-2026"

// Numbers of the school.
const (
	Classes  = 12
	Students = 500
)

// Options is what Fill works on. The store's Run must be running.
type Options struct {
	People  *people.People
	Site    *site.Site
	Records *records.Records // nil: none are written
	Clock   clock.Clock      // the one of the store: says when all this was entered
	Zone    *time.Location
	Today   string // date of the demo, 2006-01-02: classes, terms and holidays are laid around it

	Cameras     []string   // addresses of the three cameras, rtsp://
	Stills      []string   // of their still pictures, in the same order; none: they have none
	CameraLogin site.Login // what they ask for
	ReaderPort  string     // serial port of the OSDP line
}

// Account is a log-in to try.
type Account struct {
	Login  string
	Name   string
	Unit   string
	Roles  []account.Role
	ID     string
	Secret []byte // of the second factor; nil: none
}

// Code is the one-time code of this moment.
func (a Account) Code(now time.Time) string {
	if a.Secret == nil {
		return ""
	}
	return login.Code(a.Secret, login.Step(now))
}

// Card is one pupil's card.
type Card struct {
	UID     string // as attendance.ParseCard reads it
	Student string
	Class   string
}

// Filled is what was made.
type Filled struct {
	Accounts []Account
	Cards    []Card
}

// Fill makes the school. The appliance must be empty. The same options give the same school, but for secrets.
func Fill(ctx context.Context, o Options) (Filled, error) {
	var f Filled
	var err error
	if f.Accounts, err = o.staff(ctx); err != nil {
		return f, fmt.Errorf("demo staff: %w", err)
	}
	if err := o.place(ctx); err != nil {
		return f, fmt.Errorf("demo site: %w", err)
	}
	if f.Cards, err = o.pupils(ctx, f.Accounts); err != nil {
		return f, fmt.Errorf("demo pupils: %w", err)
	}
	if err := o.records(ctx, f.Accounts, f.Cards); err != nil {
		return f, fmt.Errorf("demo records: %w", err)
	}
	return f, nil
}

var from = ledger.From{Address: "127.0.0.1", Terminal: "demo"}

// staff sets the appliance up as on a first start and registers everybody; each sets their own password, and
// those whose duty asks for it a second factor.
func (o Options) staff(ctx context.Context) ([]Account, error) {
	code, err := o.People.SetUpCode(ctx)
	if err != nil {
		return nil, err
	}
	var out []Account
	for i, m := range staff {
		n := people.Person{Login: m.login, Name: m.name, StaffNo: fmt.Sprintf("%d-%03d", 2008+i%16, i+1), Unit: m.unit, Title: m.title,
			Phone: fmt.Sprintf("1390000%04d", 1000+i), Roles: m.roles}
		if i == 0 {
			if n, err = o.People.SetUp(ctx, code, n, Password, from); err != nil {
				return nil, err
			}
		} else if n, err = o.add(ctx, n); err != nil {
			return nil, fmt.Errorf("%s: %w", m.login, err)
		}
		a := Account{Login: m.login, Name: m.name, Unit: m.unit, Roles: m.roles, ID: n.ID}
		if account.NeedsSecondFactor(m.roles) {
			if a.Secret, err = o.factor(ctx, m.login); err != nil {
				return nil, fmt.Errorf("%s: %w", m.login, err)
			}
		}
		out = append(out, a)
	}
	return out, nil
}

// add registers somebody, who then logs in with the one-time password and sets their own.
func (o Options) add(ctx context.Context, n people.Person) (people.Person, error) {
	n, once, err := o.People.AddPerson(ctx, account.System, n, "")
	if err != nil {
		return n, err
	}
	s, err := o.People.Login(ctx, people.Credentials{User: n.Login, Password: once}, from)
	if err != nil {
		return n, err
	}
	if err := o.People.ChangePassword(ctx, s.Token, once, Password, from); err != nil {
		return n, err
	}
	return n, o.People.Logout(ctx, s.Token, from)
}

func (o Options) factor(ctx context.Context, name string) ([]byte, error) {
	s, err := o.People.Login(ctx, people.Credentials{User: name, Password: Password}, from)
	if err != nil {
		return nil, err
	}
	f, err := o.People.BeginFactor(ctx, s.Token, Password, "", from)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(f.URI)
	if err != nil {
		return nil, err
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(u.Query().Get("secret"))
	if err != nil {
		return nil, err
	}
	// The code of the step before, so that the present one still lets the person in.
	code := login.Code(secret, login.Step(o.Clock.Now().Wall)-1)
	if _, err := o.People.ConfirmFactor(ctx, s.Token, code, from); err != nil {
		return nil, err
	}
	return secret, o.People.Logout(ctx, s.Token, from)
}

// place registers cameras, places, the reader and the calendar.
func (o Options) place(ctx context.Context) error {
	views := []struct {
		name, place, group string
		area               footage.Area
		sound              string // on what ground its sound is recorded
	}{
		{"校门东侧", "校门", "校门与周界", footage.AreaGate, "校门处置纠纷时还原对话，门口已张贴录音告示"},
		{"操场北看台", "操场", "室外场地", footage.AreaPlayground, ""},
		{"自行车棚", "自行车棚", "室外场地", footage.AreaPublic, ""},
	}
	if len(o.Cameras) != len(views) {
		return fmt.Errorf("%d camera addresses, want %d", len(o.Cameras), len(views))
	}
	for i, v := range views {
		c := footage.Camera{ID: fmt.Sprintf("c%02d", i+1), Name: v.name, Place: v.place, Group: v.group, Area: v.area,
			Custody: footage.CustodyVault, Main: o.Cameras[i], Policy: footage.Policy{Days: footage.MinDays}, Priority: i + 1,
			Sound: v.sound != "", SoundReason: v.sound,
			Installer: "示例安防工程公司", Technician: "p006", Installed: "2024-08-20"}
		if i < len(o.Stills) {
			c.Still = o.Stills[i]
		}
		if err := o.Site.PutCamera(ctx, account.System, c, &o.CameraLogin); err != nil {
			return fmt.Errorf("camera %s: %w", c.ID, err)
		}
		if err := o.Site.PutPlace(ctx, account.System, site.Place{ID: "place-" + c.ID, Name: v.place, Cameras: []string{c.ID}}); err != nil {
			return fmt.Errorf("place %s: %w", v.place, err)
		}
	}
	r := site.Reader{ID: "r01", Name: "东大门 1 号", Place: "校门", Direction: attendance.Auto, Port: o.ReaderPort, Address: 0}
	if err := o.Site.PutReader(ctx, account.System, r); err != nil {
		return fmt.Errorf("reader: %w", err)
	}
	c, err := Calendar(o.Today)
	if err != nil {
		return err
	}
	if err := o.Site.PutCalendar(ctx, account.System, c); err != nil {
		return fmt.Errorf("calendar: %w", err)
	}
	return o.Site.PutSettings(ctx, account.System, site.DefaultSettings)
}

// Calendar is a school calendar around a date: a term of twenty-six weeks, a three-day holiday twelve days ago
// with the Saturday before it worked instead, another ahead. The date itself is always a school day, so that
// the gate has something to show.
func Calendar(today string) (attendance.Calendar, error) {
	t, err := time.Parse(student.DateLayout, today)
	if err != nil {
		return attendance.Calendar{}, fmt.Errorf("date of the demo: %w", err)
	}
	day := func(n int) string { return t.AddDate(0, 0, n).Format(student.DateLayout) }
	monday := (int(t.Weekday()) + 6) % 7 // days since Monday
	c := attendance.Calendar{Zone: site.DefaultZone, Hours: attendance.DefaultHours,
		Terms: []attendance.Term{{From: day(-monday - 91), To: day(-monday + 90), Name: "本学期"}},
		Holidays: []attendance.DateRange{
			{From: day(-monday - 14), To: day(-monday - 12), Name: "法定节假日"},
			{From: day(-monday + 21), To: day(-monday + 23), Name: "法定节假日"},
		},
		MakeUps: []attendance.MakeUp{{Date: day(-monday - 16), As: "wednesday"}},
	}
	if wd := t.Weekday(); wd == time.Saturday || wd == time.Sunday {
		c.MakeUps = append(c.MakeUps, attendance.MakeUp{Date: today, As: "friday"})
	}
	return c, nil
}

// pupils makes classes, their teachers and the pupils with cards, as one roster would.
func (o Options) pupils(ctx context.Context, accounts []Account) ([]Card, error) {
	year, err := student.SchoolYear(o.Today)
	if err != nil {
		return nil, err
	}
	begin := fmt.Sprintf("%d-09-01", year)
	heads := teachers(accounts, account.RoleClassTeacher)
	grades := teachers(accounts, account.RoleGradeHead)
	subject := teachers(accounts, account.RoleSubjectTeacher)
	rng := rand.New(rand.NewPCG(2026, 5))
	used := map[string]bool{}
	var list []people.NewStudent
	var cards []Card
	for i := range Classes {
		grade := i/2 + 1
		c := student.NewClass(student.Primary, year+1-grade, i%2+1)
		c.Teachers = []student.Teaching{
			{Person: heads[i%len(heads)], Duty: student.DutyHead, From: begin},
			{Person: grades[(grade-1)/2%len(grades)], Duty: student.DutyGrade, From: begin},
			{Person: subject[i%len(subject)], Duty: student.DutySubject, From: begin},
		}
		if err := o.People.PutClass(ctx, account.System, c); err != nil {
			return nil, fmt.Errorf("class %s: %w", c.ID, err)
		}
		size := Students / Classes
		if i < Students%Classes {
			size++
		}
		for range size {
			uid := cardNumber(rng, used)
			card, err := attendance.ParseCard(uid)
			if err != nil {
				return nil, err
			}
			list = append(list, people.NewStudent{Student: pupil(rng, used, year+1-grade), Class: c.ID, From: begin, Cards: []attendance.Card{card}})
			cards = append(cards, Card{UID: uid, Class: c.ID})
		}
	}
	by := account.System
	by.Via = ledger.ViaImport
	ids, err := o.People.AddStudents(ctx, by, list)
	if err != nil {
		return nil, err
	}
	for i := range cards {
		cards[i].Student = ids[i]
	}
	return cards, nil
}

func teachers(accounts []Account, role account.Role) (ids []string) {
	for _, a := range accounts {
		for _, r := range a.Roles {
			if r == role {
				ids = append(ids, a.ID)
			}
		}
	}
	return ids
}

// WriteFiles writes what the simulators and a person at the keyboard need into a directory: cards.csv (number,
// student, class) and logins.csv (log-in name, secret of the second factor as a phone app takes it).
func (f Filled) WriteFiles(dir string) error {
	var c, l strings.Builder
	for _, x := range f.Cards {
		fmt.Fprintf(&c, "%s,%s,%s\n", x.UID, x.Student, x.Class)
	}
	for _, a := range f.Accounts {
		secret := ""
		if a.Secret != nil {
			secret = login.SecretText(a.Secret)
		}
		fmt.Fprintf(&l, "%s,%s,%s,%s\n", a.Login, a.Name, a.Unit, secret)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "cards.csv"), []byte(c.String()), 0o600),
		os.WriteFile(filepath.Join(dir, "logins.csv"), []byte(l.String()), 0o600))
}

// ReadLogins reads logins.csv back, for showing codes at a later start.
func ReadLogins(dir string) ([]Account, error) {
	b, err := os.ReadFile(filepath.Join(dir, "logins.csv"))
	if err != nil {
		return nil, fmt.Errorf("read the demo log-ins: %w", err)
	}
	var out []Account
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSpace(line), ",")
		if len(f) != 4 {
			return nil, fmt.Errorf("read the demo log-ins: line %q", line)
		}
		a := Account{Login: f[0], Name: f[1], Unit: f[2]}
		if f[3] != "" {
			if a.Secret, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(f[3]); err != nil {
				return nil, fmt.Errorf("read the demo log-ins: secret of %s: %w", a.Login, err)
			}
		}
		out = append(out, a)
	}
	return out, nil
}
