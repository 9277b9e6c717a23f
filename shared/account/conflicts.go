package account

// Conflict is a pair of roles that one person must not hold together.
type Conflict struct {
	A, B   Role
	Reason string // key of the text catalogue
}

// forbidden is the whole list (design §7): a school of three people, officer, leader and IT teacher, must pass.
var forbidden = []Conflict{
	// Who runs the box sees no records, so must not also be the one who gives them out or checks them.
	{RoleAdmin, RoleOfficer, "conflict.technical"},
	{RoleAdmin, RoleHeadOfSafety, "conflict.technical"},
	{RoleAdmin, RoleLeader, "conflict.technical"},
	{RoleAdmin, RoleAuditor, "conflict.technical"},
	{RoleInstaller, RoleOfficer, "conflict.technical"},
	{RoleInstaller, RoleHeadOfSafety, "conflict.technical"},
	// Who gives footage out must not supervise that (S41).
	{RoleAuditor, RoleOfficer, "conflict.supervision"},
	{RoleAuditor, RoleHeadOfSafety, "conflict.supervision"},
}

// Conflicts lists the forbidden combinations among the roles of one person; nothing when all is well.
func Conflicts(roles []Role) []Conflict {
	a := Actor{Roles: roles}
	var out []Conflict
	for _, c := range forbidden {
		if a.Has(c.A) && a.Has(c.B) {
			out = append(out, c)
		}
	}
	if a.Has(RoleAppliance) && len(roles) > 1 {
		out = append(out, Conflict{RoleAppliance, other(roles), "conflict.machine"})
	}
	return out
}

func other(roles []Role) Role {
	for _, r := range roles {
		if r != RoleAppliance {
			return r
		}
	}
	return RoleAppliance
}
