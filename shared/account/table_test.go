package account

import (
	"flag"
	"fmt"
	"math/bits"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata/table.txt anew")

var allRoles = []Role{RoleStaff, RoleClassTeacher, RoleSubjectTeacher, RoleGradeHead, RoleDoctor, RoleCounsellor, RoleParent,
	RoleOfficer, RoleHeadOfSafety, RoleLeader, RoleAuditor, RoleAdmin, RoleInstaller, RoleCentreStaff, RoleCentreAdmin, RoleAppliance}

// A circumstance makes one thing true that an action may depend on. The letters are in the golden file.
var circumstances = []struct {
	letter string
	means  string
	apply  func(*Actor, *Subject)
}{
	{"2", "the session passed a second factor", func(a *Actor, s *Subject) { a.SecondFactor = true }},
	{"p", "a purpose is stated", func(a *Actor, s *Subject) { s.Purpose = true }},
	{"g", "inside an approved application: camera, span, way, period", func(a *Actor, s *Subject) { a.Grants = []Grant{grant} }},
	{"o", "it is the person's own page, account or viewing", func(a *Actor, s *Subject) { s.Person = a.ID }},
	{"a", "the person is the applicant", func(a *Actor, s *Subject) { s.Applicant = a.ID }},
	{"f", "the applicant is not of the security office", func(a *Actor, s *Subject) { s.OfOffice = false }},
	{"c", "the class is in scope", func(a *Actor, s *Subject) { a.Classes = []string{s.Class} }},
	{"u", "it is the person's own unit", func(a *Actor, s *Subject) { a.Units = []string{s.Unit} }},
	{"l", "the leave is shorter than three school days", func(a *Actor, s *Subject) { s.Long = false }},
	{"s", "on shift at the control room", func(a *Actor, s *Subject) { a.OnShift = true }},
	{"n", "an agreement on confidentiality and the training are on file", func(a *Actor, s *Subject) { s.Signed = true }},
	{"i", "the camera is new, or has a fault that a picture shows", func(a *Actor, s *Subject) { s.Installing = true }},
	{"t", "the topic is the appliance's own", func(a *Actor, s *Subject) { s.Topic = strings.Replace(s.Topic, "ck-other", a.ID, 1) }},
}

var (
	noon  = time.Date(2026, 5, 20, 4, 0, 0, 0, time.UTC)
	grant = Grant{Application: "a2026-0001", Person: "me", Cameras: []string{"c01"}, From: noon.Add(-2 * time.Hour), To: noon.Add(-time.Hour),
		Since: noon.Add(-time.Hour), Until: noon.Add(time.Hour), Ways: []string{WayView, WayStill}}
)

// subjects are the things asked about for an action; it counts as possible when any of them is allowed.
func subjects(action Action) []Subject {
	s := Subject{Camera: "c01", From: grant.From, To: grant.To, Way: WayView, Applicant: "other", OfOffice: true, Person: "other", Class: "2024-03", Unit: "canteen", Long: true}
	switch action {
	case ActFootageLive:
		s.Way = WayLive
	case ActMediaRead:
		live := s
		live.Way = WayLive
		return []Subject{s, live}
	case ActFootageSnapshot:
		s.Way = WayStill
	case ActTopicPublish:
		s.Topic = "ck/1/7/ck-other/up"
	case ActTopicSubscribe:
		s.Topic = "ck/1/7/ck-other/ack"
	}
	return []Subject{s}
}

// The whole table, as May answers it: for every action and role the smallest sets of circumstances under which it
// is allowed. Reviewers read testdata/table.txt; a change of the rules shows there. Covers F12, M3, M9.
func TestTableOfRolesAndActions(t *testing.T) {
	var b strings.Builder
	b.WriteString("Who may do what. What is not listed is refused.\n")
	b.WriteString("yes: always; letters: only if all of these hold; |: or\n\n")
	for _, c := range circumstances {
		fmt.Fprintf(&b, "  %s  %s\n", c.letter, c.means)
	}
	for _, action := range actions() {
		fmt.Fprintf(&b, "\n%s\n", action)
		for _, role := range allRoles {
			if cell := cell(role, action); cell != "" {
				fmt.Fprintf(&b, "  %-22s %s\n", role, cell)
			}
		}
	}
	const file = "testdata/table.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != string(want) {
		t.Fatalf("the permission table has changed; review it with -update and git diff:\n%s", got)
	}
}

func actions() []Action {
	var out []Action
	for a := range table {
		out = append(out, a)
	}
	slices.Sort(out)
	return out
}

// mostTogether is how many circumstances one rule may need: all sets of them would double with each circumstance.
const mostTogether = 5

func cell(role Role, action Action) string {
	var minimal []uint
	for set := uint(0); set < 1<<len(circumstances); set++ {
		if bits.OnesCount(set) > mostTogether || slices.ContainsFunc(minimal, func(m uint) bool { return set&m == m }) || !allowedUnder(role, action, set) {
			continue
		}
		minimal = append(minimal, set)
	}
	var ways []string
	for _, set := range minimal {
		if set == 0 {
			return "yes"
		}
		var w strings.Builder
		for i, c := range circumstances {
			if set&(1<<i) != 0 {
				w.WriteString(c.letter)
			}
		}
		ways = append(ways, w.String())
	}
	return strings.Join(ways, " | ")
}

func allowedUnder(role Role, action Action, set uint) bool {
	return slices.ContainsFunc(subjects(action), func(s Subject) bool {
		a := Actor{ID: "me", Roles: []Role{role}}
		for i, c := range circumstances {
			if set&(1<<i) != 0 {
				c.apply(&a, &s)
			}
		}
		return May(a, action, s, noon).Allowed
	})
}
