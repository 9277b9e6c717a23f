package oversight

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"campuskeep/shared/account"
	rules "campuskeep/shared/oversight"
)

// Filings lists what was filed with the police, the newest first.
func (o *Office) Filings() []rules.Filing {
	return o.filings.all(func(a, b rules.Filing) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID)) })
}

type filedData struct {
	Devices int `json:"devices"`
}

// File keeps the receipt of a filing with the devices as they are registered now. Errors: fielderr.Errors,
// *account.Refused.
func (o *Office) File(ctx context.Context, by account.Who, f rules.Filing) (rules.Filing, error) {
	role, end, err := o.step(ctx, by, account.ActFilingEdit, account.Subject{})
	if err != nil {
		return f, err
	}
	defer end()
	now := o.o.Clock.Now().Wall
	if err := f.Check(now); err != nil {
		return f, err
	}
	f.By, f.Entered = by.ID, now
	f.ID = fmt.Sprintf("f%d-%02d", now.In(o.o.Zone).Year(), len(o.Filings())+1)
	text, err := json.Marshal(struct {
		To, Receipt, Text string
	}{f.To, f.Receipt, f.Text})
	if err != nil {
		return f, fmt.Errorf("write down the filing: %w", err)
	}
	return f, o.commit(ctx, "filing "+f.ID, []pending{o.filings.write(f.ID, f, 0)},
		by.Draft("filing.made", role, f.ID, filedData{len(f.Devices)}, sealed(f.ID, "filing", string(text))...))
}
