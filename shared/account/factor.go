package account

import "slices"

// NeedsSecondFactor says whether one of the roles is a duty whose acts May refuses without a second factor.
func NeedsSecondFactor(roles []Role) bool {
	a := Actor{Roles: roles}
	return slices.ContainsFunc(duty, a.Has)
}

// ConfirmsDuty says whether one of the roles may confirm what an administrator proposes about duty persons.
func ConfirmsDuty(roles []Role) bool {
	a := Actor{Roles: roles}
	return slices.ContainsFunc(registrar, a.Has)
}
