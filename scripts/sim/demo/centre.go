package main

import (
	"context"
	"encoding/base32"
	"fmt"
	"os"
	"strings"

	"campuskeep/scripts/sim/centreproc"
	"campuskeep/scripts/sim/school"
)

var centrePorts = centreproc.Ports{Enrol: 9443, MQTT: 8883, Console: 9444}

// centrePeople are the bureau's demo log-ins.
var centrePeople = []struct{ id, user, name, unit, role string }{
	{"c001", "bureau", "常远舟", "安全稳定科", "centre_staff"},
	{"c002", "bureauadmin", "柏清扬", "信息中心", "centre_administrator"},
}

func (d *demo) startCentre(ctx context.Context) error {
	progressLine("starting the centre")
	var err error
	if d.centre, err = centreproc.Prepare(ctx, d.bin, d.path("centre"), centrePorts); err != nil {
		return err
	}
	if !exists(d.path("centre", "logins.csv")) {
		if err := d.addCentreStaff(ctx); err != nil {
			return err
		}
	}
	return d.centre.Start(ctx)
}

func (d *demo) addCentreStaff(ctx context.Context) error {
	var f school.Filled
	for _, p := range centrePeople {
		text, err := d.centre.AddPerson(ctx, p.id, p.user, p.name, p.role, school.Password)
		if err != nil {
			return err
		}
		secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
		if err != nil {
			return fmt.Errorf("second factor of %s: %w", p.user, err)
		}
		f.Accounts = append(f.Accounts, school.Account{Login: p.user, Name: p.name, Unit: p.unit, ID: p.id, Secret: secret})
	}
	return f.WriteFiles(d.path("centre"))
}

// enrolBox enrols the appliance once; its identity then lies in its data directory.
func (d *demo) enrolBox(ctx context.Context) error {
	if exists(d.path("box", "data", "identity", "centre.json")) {
		return nil
	}
	progressLine("enrolling the appliance at the centre")
	return d.centre.Enrol(ctx, applianceID, school.Name, d.path("box", "campuskeep.toml"))
}

// printAccess prints what to try.
func (d *demo) printAccess() {
	var b strings.Builder
	fmt.Fprintf(&b, `
  学校安保页面  https://%s/        the school's page (accept the certificate, or install its root from the log-in page)
  教育局控制台  https://127.0.0.1:%d/        the centre's console

  Password of every log-in: %s
  One-time codes: bin/demo -code NAME%s

`, officeAddress, centrePorts.Console, school.Password, d.flagDir())
	for _, l := range [][2]string{
		{"zhou", "security officer: 录像 → click a day, a time, state the purpose, watch; review the open application"},
		{"he", "applicant (no code): 新建申请, and watch the span that was approved"},
		{"zheng", "head of safety: approve or refuse; 访问日志 → open an entry → download its proof"},
		{"leader", "school leader: decides what the security office itself applies for"},
		{"jian", "supervision group: reads the log, sees no footage"},
		{"luo", "class teacher (no code): today's roll of the own class"},
		{"admin", "administrator: cameras, people, settings; sees no records"},
		{"bureau", "at the centre: the school, witnessed up to, applications, attendance, alarms"},
		{"bureauadmin", "at the centre: enrol a school, refuse an appliance"},
	} {
		fmt.Fprintf(&b, "  %-12s %s\n", l[0], l[1])
	}
	fmt.Fprintf(&b, "\n  A proof offline:  bin/campuskeep-verify proof.txt\n  The invariants:   bin/campuskeepd check -c %s\n  Ctrl-C stops everything; a second start goes on from here.\n",
		d.path("box", "campuskeep.toml"))
	fmt.Fprint(os.Stdout, b.String())
}

func (d *demo) flagDir() string {
	if d.dirFlag == ".run" {
		return ""
	}
	return " -dir " + d.dirFlag
}
