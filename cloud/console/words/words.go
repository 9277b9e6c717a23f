// Package words says in words what schools and the centre keep as codes: alarms, subjects of entries, lines of the centre's
// log. It keeps no state and never names what a school did not release.
package words

import (
	"regexp"
	"strconv"
	"strings"

	"campuskeep/cloud/centredb"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/ui"
	"campuskeep/shared/usage"
)

// AlarmDetail says in words what is in an alarm as codes: "seq=3230 subject=c06 floor". What has no words stays as it
// came.
func AlarmDetail(p ui.Printer, detail string) string {
	var out []string
	for field := range strings.FieldsSeq(detail) {
		key, value, named := strings.Cut(field, "=")
		switch {
		case named && key == "subject":
			out = append(out, Subject(p, value))
		case named && key == "part":
			out = append(out, p.T("alarmfield.part", p.K("part.", value)))
		case named && ui.Has("alarmfield."+key):
			out = append(out, p.T("alarmfield."+key, value))
		case !named && ui.Has("alarmcode."+field):
			out = append(out, p.T("alarmcode."+field))
		default:
			out = append(out, field)
		}
	}
	return strings.Join(out, p.T("sep.clause"))
}

// subjects are the ids that schools' entries name, and their words. The centre has no names for them: schools release
// none.
var subjects = []struct {
	id  *regexp.Regexp
	key string
}{
	{regexp.MustCompile(`^c0*([0-9]+)$`), "subject.camera"},
	{regexp.MustCompile(`^n0*([0-9]+)$`), "subject.nvr"},
	{regexp.MustCompile(`^(p[0-9]+)$`), "subject.person"},
	{regexp.MustCompile(`^(s[0-9]+)$`), "subject.student"},
}

// Subject says in words what an id of a school represents.
func Subject(p ui.Printer, id string) string {
	if year, n, ok := usage.ParseApplicationID(id); ok {
		return usage.Application{Year: year, No: n}.Number()
	}
	if c := Class(p, id); c != id {
		return c
	}
	for _, s := range subjects {
		if m := s.id.FindStringSubmatch(id); m != nil {
			return p.T(s.key, m[1])
		}
	}
	return id
}

// Cameras names cameras in a list.
func Cameras(p ui.Printer, ids []string) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = Subject(p, id)
	}
	return strings.Join(words, p.T("sep.list"))
}

// Actor says who did something at a school: the appliance itself, the centre, or somebody whose name stays there.
func Actor(p ui.Printer, id string) string {
	if ui.Has("actor." + id) {
		return p.T("actor." + id)
	}
	return Subject(p, id)
}

var classID = regexp.MustCompile(`^([0-9]{4})([js]?)-0*([0-9]+)$`)

// Class is 2021 级 1 班, with the stage where a class id has one.
func Class(p ui.Printer, id string) string {
	m := classID.FindStringSubmatch(id)
	if m == nil {
		return id
	}
	return p.T("console.class.name."+m[2], m[1], m[3])
}

// Alarm names a kind of alarm: one about a log, or an urgent entry of a school, which is named by its own kind.
func Alarm(p ui.Printer, kind string) string {
	if _, ok := ledger.Kinds[ledger.Kind(kind)]; ok {
		return p.K("kind.", kind)
	}
	return p.K("alarm.", kind)
}

// ActorCommand is who acts at the centre's machine itself, without a log-in.
const ActorCommand = "command"

// AuditRow is a line of the centre's own log in words.
type AuditRow struct {
	centredb.Audit
	Who, What, About, Outcome string
}

// AuditRows puts lines into words; people and schools are named, by their ids.
func AuditRows(p ui.Printer, items []centredb.Audit, people, schools map[string]string) []AuditRow {
	name := func(id string) string {
		for _, names := range []map[string]string{people, schools} {
			if n, ok := names[id]; ok {
				return n
			}
		}
		return id
	}
	out := make([]AuditRow, len(items))
	for i, a := range items {
		r := AuditRow{Audit: a, Who: name(a.Actor), What: p.K("audit.", a.Action), About: name(a.Subject), Outcome: p.K("", a.Result)}
		switch {
		case a.Actor == "system":
			r.Who = p.T("actor.system")
		case a.Actor == ActorCommand:
			r.Who = p.T("console.audit.command")
		case a.Actor == "":
			r.Who = p.T("console.audit.nobody")
		}
		if a.Action == "alarm.close" {
			if n, err := strconv.ParseUint(a.Subject, 10, 63); err == nil {
				r.About = p.T("console.audit.alarm", strconv.FormatUint(n, 10))
			}
		}
		switch a.Result {
		case "ok":
			r.Outcome = p.T("console.ok")
		case "lifted":
			r.Outcome = p.T("console.audit.lifted")
		}
		out[i] = r
	}
	return out
}
