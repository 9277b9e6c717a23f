package site

import (
	"time"

	"campuskeep/shared/absence"
	"campuskeep/shared/footage"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/login"
	"campuskeep/shared/student"
	"campuskeep/shared/usage"
)

// Settings are the school's own choices: what the requirements leave to the school ("cfg"). Each has a safe
// default and limits.
type Settings struct {
	SessionIdle  int         `json:"session_idle"`  // minutes without a request until a log-in ends
	SessionHours int         `json:"session_hours"` // greatest age of a log-in
	PasswordDays int         `json:"password_days"` // age at which a password must be changed; 0: never (M3)
	Register     usage.Rules `json:"register"`      // deadlines and caps of the register of footage use
	// WhenFull is what happens when the disk is full although everything is thinned. Empty is the default: stop,
	// because the law names the thirty days as the least.
	WhenFull footage.WhenFull `json:"when_full,omitempty"`
	// Schooling is which stages the school has and how long each is ("primary5 junior4"); class names are read by it.
	// Empty: not set.
	Schooling string `json:"schooling,omitempty"`
	// Absence are the times and shares by which absences are followed; zero is the defaults.
	Absence absence.Rules `json:"absence,omitzero"`
}

// DefaultSettings is where a school begins.
var DefaultSettings = Settings{SessionIdle: 30, SessionHours: 12, Register: usage.DefaultRules}

// Check says which setting is outside its limits.
func (s Settings) Check() fielderr.Errors {
	var errs fielderr.Errors
	in := func(field string, v, least, most int) {
		if v < least || v > most {
			errs.Add(field, "err.range", least, most)
		}
	}
	in("session_idle", s.SessionIdle, 5, 120)
	in("session_hours", s.SessionHours, 1, 24)
	if s.PasswordDays != 0 {
		in("password_days", s.PasswordDays, 30, 730)
	}
	if s.WhenFull != "" && s.WhenFull != footage.Stop && s.WhenFull != footage.Breach {
		errs.Add("when_full", "err.choice")
	}
	if schooling, ok := student.ParseSchooling(s.Schooling); !ok || len(schooling.Check()) > 0 {
		errs.Add("schooling", "err.schooling")
	}
	for _, e := range s.Absence.Or().Check() {
		errs.Add("absence."+e.Field, e.Rule, e.Args...)
	}
	r := s.Register
	in("camera_time", int(r.CameraTime/time.Hour), 1, 240)
	in("disk_percent", r.DiskPercent, 1, 50)
	in("use_days", r.UseDays, 1, 90)
	in("undecided_days", r.UndecidedDays, 3, 30)
	in("complaint_days", r.ComplaintDays, 1, 60)
	in("report_days", r.ReportDays, 1, 7) // F15: one week at most
	in("filing_days", r.FilingDays, 0, 30)
	return errs
}

// SessionRules are the settings of a log-in as the rules take them.
func (s Settings) SessionRules() login.SessionRules {
	return login.SessionRules{Idle: time.Duration(s.SessionIdle) * time.Minute, Absolute: time.Duration(s.SessionHours) * time.Hour}
}

// Full is what happens when the disk is full.
func (s Settings) Full() footage.WhenFull {
	if s.WhenFull == footage.Breach {
		return footage.Breach
	}
	return footage.Stop
}
