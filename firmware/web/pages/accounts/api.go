package accounts

import (
	"net/http"
	"strings"

	"campuskeep/shared/account"
)

// APIPerson is what the list of people shows of an account.
type APIPerson struct {
	ID       string         `json:"id"`
	Login    string         `json:"login"`
	Name     string         `json:"name"`
	StaffNo  string         `json:"staff_no"`
	Unit     string         `json:"unit"`
	Title    string         `json:"title,omitempty"`
	Roles    []account.Role `json:"roles"`
	Disabled bool           `json:"disabled"`
	Factor   bool           `json:"second_factor"`
}

func (o *Pages) apiPeople(c *call) error {
	list := o.d.People.People()
	if q := strings.TrimSpace(c.R.URL.Query().Get("q")); q != "" {
		list = o.d.People.FindPeople(q, 200)
	}
	out := []APIPerson{}
	for _, p := range list {
		out = append(out, APIPerson{p.ID, p.Login, p.Name, p.StaffNo, p.Unit, p.Title, p.Roles, p.Disabled, o.d.People.HasFactor(p.ID)})
	}
	return c.JSON(http.StatusOK, out)
}
