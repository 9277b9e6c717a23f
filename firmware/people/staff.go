package people

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/login"
	"campuskeep/shared/student"
)

// StaffRoles are the duties that an account at the school can have. Machines and the centre have their own
// accounts elsewhere.
var StaffRoles = []account.Role{account.RoleStaff, account.RoleClassTeacher, account.RoleSubjectTeacher, account.RoleGradeHead,
	account.RoleDoctor, account.RoleCounsellor, account.RoleOfficer, account.RoleHeadOfSafety, account.RoleLeader,
	account.RoleAuditor, account.RoleAdmin, account.RoleInstaller}

func (r *personRec) copy() Person {
	n := r.Person
	n.Roles = slices.Clone(n.Roles)
	n.Rev = r.rev
	return n
}

// Person by id.
func (p *People) Person(id string) (Person, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if r := p.persons[id]; r != nil {
		return r.copy(), true
	}
	return Person{}, false
}

// PersonByLogin by log-in name.
func (p *People) PersonByLogin(name string) (Person, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if r := p.persons[p.byLogin[strings.ToLower(name)]]; r != nil {
		return r.copy(), true
	}
	return Person{}, false
}

// Name of a person or student by id; the id itself when it is unknown or erased.
func (p *People) Name(id string) string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if r := p.persons[id]; r != nil {
		return r.Name
	}
	if s, ok := p.students[id]; ok {
		return s.Name
	}
	return id
}

// People lists everybody, by id.
func (p *People) People() []Person {
	p.mu.RLock()
	defer p.mu.RUnlock()
	out := make([]Person, 0, len(p.persons))
	for _, r := range p.persons {
		out = append(out, r.copy())
	}
	slices.SortFunc(out, func(a, b Person) int { return compareID(a.ID, b.ID) })
	return out
}

// FindPeople finds persons by part of name, log-in name, staff number or unit; at most limit.
func (p *People) FindPeople(text string, limit int) []Person {
	text = strings.ToLower(strings.TrimSpace(text))
	var out []Person
	for _, n := range p.People() {
		if len(out) < limit && text != "" && strings.Contains(strings.ToLower(n.Name+"\x00"+n.Login+"\x00"+n.StaffNo+"\x00"+n.Unit+"\x00"+n.ID), text) {
			out = append(out, n)
		}
	}
	return out
}

// HasFactor says whether the person uses a second factor.
func (p *People) HasFactor(person string) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	r := p.persons[person]
	return r != nil && r.factor
}

// AddPerson registers somebody. Without a password a one-time password is made and returned; a given one counts
// as set by somebody else too. Duties among the roles are only proposed, once the school is set up: DutyChanges lists
// what waits for a second person. Errors: fielderr.Errors, *account.Refused.
func (p *People) AddPerson(ctx context.Context, by account.Who, n Person, password string) (Person, string, error) {
	role, err := p.allow(by, account.ActPeopleEdit, account.Subject{Person: "new"})
	if err != nil {
		return Person{}, "", err
	}
	if password == "" {
		password = login.OneTimePassword()
	} else if errs := login.CheckPassword("password", password, n.Login); len(errs) > 0 {
		return Person{}, "", errs
	}
	x := secret{Secret: login.Secret{Must: true}}
	if x.Password, err = p.hash(ctx, password); err != nil {
		return Person{}, "", err
	}
	added, err := p.add(ctx, by, role, []Person{n}, []secret{x}, ledgerdb.Change{})
	if err != nil {
		return Person{}, "", err
	}
	return added[0], password, nil
}

// add registers persons with their secrets in one change, on top of what ch brings.
func (p *People) add(ctx context.Context, by account.Who, role account.Role, list []Person, with []secret, ch ledgerdb.Change) ([]Person, error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	now := p.now().Wall.UTC()
	list = slices.Clone(list)
	next := p.nextID("p")
	var waits []DutyChange
	for i := range list {
		n := &list[i]
		n.ID, n.Since = fmt.Sprintf("p%03d", next+i), now
		n.Login = strings.ToLower(strings.TrimSpace(n.Login))
		if err := p.checkPerson(*n, list[:i]).Err(); err != nil {
			return nil, err
		}
		asked := *n
		*n = p.rightsOf(by, Person{}, *n)
		with[i].Person, with[i].Set = n.ID, now
		ch.Puts = append(ch.Puts, persons.PutRev(n.ID, *n, 0), secrets.PutRev(n.ID, with[i], 0))
		ch.Entries = append(ch.Entries, by.Draft("person.created", role, n.ID, map[string]any{"roles": n.Roles}))
		if d, ok := p.dutyStep(&ch, by, role, Person{}, asked, *n); ok {
			waits = append(waits, d)
		}
	}
	rc, err := p.o.Store.Commit(ctx, ch)
	if err != nil {
		return nil, fmt.Errorf("register persons: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, n := range list {
		at := slices.IndexFunc(ch.Puts, func(x ledgerdb.Put) bool { return x.Table == "persons" && x.Key == n.ID })
		rec := &personRec{Person: n, rev: rc.Revs[at]}
		rec.take(with[i])
		p.persons[n.ID], p.byLogin[n.Login] = rec, n.ID
		list[i] = rec.copy()
	}
	for _, d := range waits {
		p.proposed[d.ID] = d
	}
	return list, nil
}

// ChangePerson changes everything but secrets; n.Rev is the revision that was shown (0: whatever is there).
// Nobody changes their own duties (M3), and the last administrator stays. New duties, and an account with duties that
// is let in again, are only proposed, once the school is set up: the rest is saved at once. What was revoked is gone at the next
// request. Errors: ErrNotFound, ledgerdb.ErrConflict, fielderr.Errors, *account.Refused.
func (p *People) ChangePerson(ctx context.Context, by account.Who, n Person) error {
	role, err := p.allow(by, account.ActPeopleEdit, account.Subject{Person: n.ID})
	if err != nil {
		return err
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	old, ok := p.Person(n.ID)
	if !ok {
		return ErrNotFound
	}
	if n.Rev == 0 {
		n.Rev = old.Rev
	}
	n.Since, n.Login = old.Since, strings.ToLower(strings.TrimSpace(n.Login))
	n.RightsBy, n.RightsAt = old.RightsBy, old.RightsAt
	errs := p.checkPerson(n, nil)
	if isAdmin(old) && !isAdmin(n) && p.admins() == 1 {
		errs.Add("roles", "err.last_admin")
	}
	if err := errs.Err(); err != nil {
		return err
	}
	asked := n
	n = p.rightsOf(by, old, n)
	what := differing(old, n)
	if len(what) == 0 && !widens(old, asked) {
		return nil
	}
	data := map[string]any{"what": what, "roles": n.Roles}
	ch := ledgerdb.Change{Puts: []ledgerdb.Put{persons.PutRev(n.ID, n, n.Rev)}}
	if len(what) > 0 {
		ch.Entries = []ledger.Draft{by.Draft("person.changed", role, n.ID, data,
			part("before", personOwner(n.ID), old), part("after", personOwner(n.ID), n))}
	}
	p.firstDuty(&ch)
	waits, proposed := p.dutyStep(&ch, by, role, old, asked, n)
	var ends []string
	if n.Disabled {
		ends = p.sessionsOf(n.ID, "")
		for _, h := range ends {
			ch.Deletes = append(ch.Deletes, sessions.Delete(h))
		}
	}
	rc, err := p.o.Store.Commit(ctx, ch)
	if err != nil {
		return fmt.Errorf("change person %s: %w", n.ID, err)
	}
	p.mu.Lock()
	rec := p.persons[n.ID]
	delete(p.byLogin, rec.Login)
	rec.Person, rec.rev = n, rc.Revs[0]
	rec.Roles = slices.Clone(n.Roles)
	p.byLogin[n.Login] = n.ID
	p.dutyNoted = p.dutySet
	for id, d := range p.proposed {
		if proposed && d.Person == n.ID && d.What == DutyRoles {
			delete(p.proposed, id)
		}
	}
	if proposed {
		p.proposed[waits.ID] = waits
	}
	p.mu.Unlock()
	p.login.Lock()
	for _, h := range ends {
		delete(p.login.sessions, h)
	}
	p.login.Unlock()
	return nil
}

func isAdmin(n Person) bool { return slices.Contains(n.Roles, account.RoleAdmin) && !n.Disabled }

func (p *People) admins() (n int) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, r := range p.persons {
		if isAdmin(r.Person) {
			n++
		}
	}
	return n
}

var (
	loginRule   = regexp.MustCompile(`^[a-z][a-z0-9._-]{1,31}$`)
	staffNoRule = regexp.MustCompile(`^[A-Za-z0-9-]{1,32}$`)
)

// checkPerson says what is wrong with a person, also in the company of others and of those registered with it.
// The caller holds writing.
func (p *People) checkPerson(n Person, with []Person) fielderr.Errors {
	var errs fielderr.Errors
	if !loginRule.MatchString(n.Login) {
		errs.Add("login", "err.login_name")
	}
	student.CheckName(&errs, "name", n.Name)
	if !staffNoRule.MatchString(n.StaffNo) {
		errs.Add("staff_no", "err.staff_no")
	}
	line(&errs, "unit", n.Unit, true)
	line(&errs, "title", n.Title, false)
	if n.Phone != "" {
		student.CheckPhone(&errs, "phone", n.Phone)
	}
	if len(n.Roles) == 0 {
		errs.Add("roles", "err.required")
	}
	for _, r := range n.Roles {
		if !slices.Contains(StaffRoles, r) {
			errs.Add("roles", "err.role_unknown")
			break
		}
	}
	for _, c := range account.Conflicts(n.Roles) {
		errs.Add("roles", c.Reason, string(c.A), string(c.B))
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	others := with
	for _, r := range p.persons {
		others = append(others[:len(others):len(others)], r.Person)
	}
	for _, o := range others {
		if o.ID == n.ID {
			continue
		}
		if o.Login == n.Login {
			errs.Add("login", "err.login_taken")
		}
		if o.StaffNo == n.StaffNo {
			errs.Add("staff_no", "err.staff_no_taken")
		}
	}
	return errs
}

const maxLine = 60

func line(errs *fielderr.Errors, field, s string, required bool) {
	if required && strings.TrimSpace(s) == "" {
		errs.Add(field, "err.required")
		return
	}
	errs.CheckText(field, s, maxLine, false)
}

// nextID is the number after the highest in use. Numbers of erased subjects stay used: their rows remain.
func (p *People) nextID(kind string) int {
	highest := 0
	see := func(id string) {
		if n, err := strconv.Atoi(strings.TrimPrefix(id, kind)); err == nil {
			highest = max(highest, n)
		}
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if kind == "p" {
		for id := range p.persons {
			see(id)
		}
	} else {
		for id := range p.students {
			see(id)
		}
	}
	return max(highest, p.erased[kind]) + 1
}

// compareID orders p2 before p10.
func compareID(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// differing names the JSON fields in which two values of one struct type differ.
func differing[T any](a, b T) []string {
	var out []string
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range va.NumField() {
		name, _, _ := strings.Cut(va.Type().Field(i).Tag.Get("json"), ",")
		if name != "-" && !reflect.DeepEqual(va.Field(i).Interface(), vb.Field(i).Interface()) {
			out = append(out, name)
		}
	}
	return out
}

func part(name, owner string, v any) ledger.Part {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("people: %s does not marshal: %v", name, err)) // a fault of the type, not of the data
	}
	return ledger.Part{Name: name, Owner: owner, Plain: b}
}
