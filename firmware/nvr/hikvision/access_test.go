package hikvision_test

import (
	"errors"
	"slices"
	"testing"

	"campuskeep/firmware/nvr/driver"

	sim "campuskeep/scripts/sim/nvr"
)

// Covers F13: who else can log in and which services are open is read, and never guessed at.
func TestAccessPaths(t *testing.T) {
	n, d := start(t, func(o *sim.Options) {
		o.Accounts = []sim.Account{{Name: "admin", Level: "Administrator"}, {Name: "keeper & co", Level: "Operator"}}
	})
	users, err := d.Accounts(t.Context())
	if want := []driver.Account{{Name: "admin", Level: "Administrator"}, {Name: "keeper & co", Level: "Operator"}}; err != nil || !slices.Equal(users, want) {
		t.Errorf("%+v, %v", users, err)
	}
	services, err := d.Services(t.Context())
	open := map[string]bool{}
	for _, s := range services {
		open[s.Name] = s.Open
	}
	if err != nil || len(services) != 5 || !open["HTTP"] || !open["RTSP"] || open["SSH"] || !open["EZVIZ"] {
		t.Errorf("%+v, %v", services, err)
	}
	for path, body := range map[string]string{
		"/ISAPI/Security/users":         `<UserList version="2.0"></UserList>`,
		"/ISAPI/Security/adminAccesses": `<AdminAccessProtocolList><AdminAccessProtocol><protocol>RTSP</protocol><portNo>99999</portNo></AdminAccessProtocol></AdminAccessProtocolList>`,
		"/ISAPI/System/Network/EZVIZ":   `<EZVIZ><registerStatus>true</registerStatus></EZVIZ>`,
	} {
		n.Set(func(_ *sim.Habits, f *sim.Faults) { f.Garbage = map[string]string{path: body} })
		_, err1 := d.Accounts(t.Context())
		_, err2 := d.Services(t.Context())
		if _, ok := errors.AsType[*driver.AnswerError](errors.Join(err1, err2)); !ok {
			t.Errorf("%s was taken: %v, %v", path, err1, err2)
		}
	}
}
