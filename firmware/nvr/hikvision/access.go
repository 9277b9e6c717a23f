package hikvision

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"campuskeep/firmware/nvr/driver"
)

const (
	pathUsers  = "/ISAPI/Security/users"
	pathAccess = "/ISAPI/Security/adminAccesses"
	pathShell  = "/ISAPI/System/Network/ssh"
	pathCloud  = "/ISAPI/System/Network/EZVIZ"
)

type userList struct {
	Users []struct {
		Name  string `xml:"userName"`
		Level string `xml:"userLevel"`
	} `xml:"User"`
}

func (l *userList) check() error {
	if len(l.Users) == 0 {
		return errors.New("nobody, not even ourselves")
	}
	for _, u := range l.Users {
		if u.Name == "" || len(u.Name) > 256 || len(u.Level) > 64 {
			return fmt.Errorf("user %q: no such name", u.Name)
		}
	}
	return nil
}

// Accounts lists who can log in.
func (d *Driver) Accounts(ctx context.Context) ([]driver.Account, error) {
	list, err := get(ctx, d, pathUsers, "UserList", (*userList).check)
	if err != nil {
		return nil, err
	}
	var out []driver.Account
	for _, u := range list.Users {
		out = append(out, driver.Account{Name: account(u.Name), Level: name(u.Level)})
	}
	return out, nil
}

// account is the name of an account: no two become one because of a byte that cannot be read.
func account(s string) string {
	if n := name(s); n != "" && !strings.ContainsRune(s, utf8.RuneError) {
		return n
	}
	sum := sha256.Sum256([]byte(s))
	return fmt.Sprintf("%s?%x", name(s), sum[:4])
}

type accessList struct {
	Protocols []struct {
		Enabled *bool  `xml:"enabled"` // some firmware lists only what is open
		Name    string `xml:"protocol"`
		Port    int    `xml:"portNo"`
	} `xml:"AdminAccessProtocol"`
}

func (l *accessList) check() error {
	for _, p := range l.Protocols {
		if p.Name == "" || len(p.Name) > 64 || p.Port < 0 || p.Port > 65535 {
			return fmt.Errorf("protocol %q, port %d: no such service", p.Name, p.Port)
		}
	}
	return nil
}

// enabled is the answer of a single switch.
type enabled struct {
	On *bool `xml:"enabled"`
}

func (e *enabled) check() error {
	if e.On == nil {
		return errors.New("it does not say whether it is switched on")
	}
	return nil
}

// Services lists the ways in over the network. A shell and the maker's cloud are in documents of their own, which not
// every NVR has.
func (d *Driver) Services(ctx context.Context) ([]driver.Service, error) {
	list, err := get(ctx, d, pathAccess, "AdminAccessProtocolList", (*accessList).check)
	if err != nil {
		return nil, err
	}
	var out []driver.Service
	for _, p := range list.Protocols {
		out = append(out, driver.Service{Name: p.Name, Port: p.Port, Open: p.Enabled == nil || *p.Enabled})
	}
	for _, s := range []struct{ path, root, name string }{{pathShell, "SSH", "SSH"}, {pathCloud, "EZVIZ", "EZVIZ"}} {
		e, err := get(ctx, d, s.path, s.root, (*enabled).check)
		if errors.Is(err, driver.ErrNotOffered) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, driver.Service{Name: s.name, Open: *e.On})
	}
	return out, nil
}
