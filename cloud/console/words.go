package console

import (
	"strings"

	"campuskeep/shared/lib/ui"
)

// alarmDetail says in words what is in an alarm as codes: "seq=3230 subject=c06 floor". What has no words stays as it
// came.
func alarmDetail(p ui.Printer, detail string) string {
	var out []string
	for field := range strings.FieldsSeq(detail) {
		key, value, named := strings.Cut(field, "=")
		switch {
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
