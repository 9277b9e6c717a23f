package site

import (
	"time"

	"campuskeep/shared/fielderr"
)

// Settings are the school's own choices. Each has a safe default and limits; what the rules leave to the
// school ("cfg" in the requirements) stands here and nowhere else.
type Settings struct {
	SessionIdleMin  int  `json:"session_idle_min"`  // minutes without a request until a log-in ends
	SessionHours    int  `json:"session_hours"`     // greatest age of a log-in
	PasswordDays    int  `json:"password_days"`     // age at which a password must be changed; 0: never (M3)
	IncidentMin     int  `json:"incident_min"`      // minutes for which a stated purpose counts (design §7)
	ComplaintDays   int  `json:"complaint_days"`    // a hold stays so long after a rejection
	UndecidedDays   int  `json:"undecided_days"`    // school days after which an undecided hold ends
	HoldCameraHours int  `json:"hold_camera_hours"` // camera-hours that one applicant may hold
	ReportDays      int  `json:"report_days"`       // days after use until the report is due (F15: one week)
	StopWhenFull    bool `json:"stop_when_full"`    // a full disk stops recording instead of breaking the thirty days
}

// DefaultSettings is where a school begins.
var DefaultSettings = Settings{SessionIdleMin: 30, SessionHours: 12, IncidentMin: 30, ComplaintDays: 15,
	UndecidedDays: 10, HoldCameraHours: 24, ReportDays: 7, StopWhenFull: true}

// Check says which setting is outside its limits.
func (s Settings) Check() fielderr.Errors {
	var errs fielderr.Errors
	in := func(field string, v, lo, hi int) {
		if v < lo || v > hi {
			errs.Add(field, "err.range", lo, hi)
		}
	}
	in("session_idle_min", s.SessionIdleMin, 5, 120)
	in("session_hours", s.SessionHours, 1, 24)
	if s.PasswordDays != 0 {
		in("password_days", s.PasswordDays, 30, 730)
	}
	in("incident_min", s.IncidentMin, 5, 120)
	in("complaint_days", s.ComplaintDays, 0, 60)
	in("undecided_days", s.UndecidedDays, 3, 30)
	in("hold_camera_hours", s.HoldCameraHours, 1, 240)
	in("report_days", s.ReportDays, 1, 7)
	return errs
}

// SessionIdle is SessionIdleMin as a duration.
func (s Settings) SessionIdle() time.Duration { return time.Duration(s.SessionIdleMin) * time.Minute }

// SessionLongest is SessionHours as a duration.
func (s Settings) SessionLongest() time.Duration { return time.Duration(s.SessionHours) * time.Hour }

// Incident is IncidentMin as a duration.
func (s Settings) Incident() time.Duration { return time.Duration(s.IncidentMin) * time.Minute }
