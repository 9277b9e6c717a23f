package account

// NeedsSecondFactor says whether one of the roles is a duty whose acts May refuses without a second factor.
func NeedsSecondFactor(roles []Role) bool {
	a := Actor{Roles: roles}
	for _, r := range duty {
		if a.Has(r) {
			return true
		}
	}
	return false
}
