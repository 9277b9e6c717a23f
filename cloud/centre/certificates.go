package centre

import (
	"context"
	"time"

	"campuskeep/cloud/console"
)

// certificateWarning is how long before its end a certificate is warned of: longer than a holiday.
const certificateWarning = 30 * 24 * time.Hour

// certificates are those that the centre depends on. The external broker's is known once it was shown.
func (c *Centre) certificates() (out []console.Certificate) {
	now := c.clock.Now().Wall
	root, server, client := c.Enrol.Certificates()
	add := func(name string, until time.Time, renewed bool) {
		if !until.IsZero() {
			out = append(out, console.Certificate{Name: name, Until: until, Renewed: renewed, Soon: !renewed && until.Sub(now) < certificateWarning})
		}
	}
	add("authority", root, false)
	add("server", server, true)
	add("client", client, true)
	if until := c.brokerUntil.Load(); until != nil {
		add("broker", *until, false)
	}
	return out
}

// watchCertificates logs once a day which certificates end soon and nobody renews by himself.
func (c *Centre) watchCertificates(ctx context.Context) error {
	for {
		for _, x := range c.certificates() {
			if x.Soon {
				c.log.Warn("certificate ends soon", "certificate", x.Name, "until", x.Until.Format(time.RFC3339))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(24 * time.Hour):
		}
	}
}
