// Package centre puts the packages of the central office together: database, authority, broker, ingest,
// console.
//
// It owns the data directory and the listeners, and the order of start and stop. It must never hold a rule of its
// own: between packages it only translates.
package centre

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"campuskeep/cloud/broker"
	"campuskeep/cloud/centredb"
	"campuskeep/cloud/console"
	"campuskeep/cloud/enrol"
	"campuskeep/cloud/ingest"
	"campuskeep/cloud/keyfile"
	"campuskeep/cloud/witness"
	"campuskeep/shared/clock"
	"campuskeep/shared/design"
)

// Version of this build.
var Version = design.Version()

// Deps are what a test or a tool replaces; zero values are the real machine.
type Deps struct {
	Clock clock.Clock
	Log   *slog.Logger
	// Store is between the database and everything that uses it; nil for the database itself.
	Store func(centredb.Store) centredb.Store
}

// Centre is the central office, opened. The fields are exported for tools that work beside a running
// one.
type Centre struct {
	Config Config
	Store  centredb.Store
	Enrol  *enrol.Enrol
	Ingest *ingest.Ingest

	authority *enrol.Authority
	witness   *witness.Witness
	clock     clock.Clock
	log       *slog.Logger
	key       []byte // secret of the console
	zone      *time.Location
	broker    *broker.Broker // nil before Listen, and with an external broker

	brokerUntil atomic.Pointer[time.Time] // end of the certificate that the external broker showed last

	brokerAt, enrolAt, consoleAt net.Listener
}

// Open opens the database and the keys, making both at the first start. It does not listen yet.
func Open(ctx context.Context, cfg Config, d Deps) (*Centre, error) {
	c := &Centre{Config: cfg, clock: d.Clock, log: d.Log}
	if c.clock == nil {
		host, err := newHostClock()
		if err != nil {
			return nil, fmt.Errorf("open the centre: %w", err)
		}
		c.clock = host
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if err := c.open(ctx, d); err != nil {
		return nil, errors.Join(fmt.Errorf("open the centre: %w", err), c.Close())
	}
	return c, nil
}

func (c *Centre) open(ctx context.Context, d Deps) (err error) {
	if c.zone, err = time.LoadLocation(c.Config.Centre.Timezone); err != nil {
		return err
	}
	keys := filepath.Join(c.Config.Centre.Data, "keys")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		return err
	}
	now := c.clock.Now().Wall
	if c.authority, err = enrol.OpenAuthority(keys, "Campuskeep "+c.Config.Centre.Name, now); err != nil {
		return err
	}
	if c.witness, err = witness.Open(filepath.Join(keys, "witness.key"), "campuskeep-centre/"+c.Config.Centre.Name); err != nil {
		return err
	}
	if c.key, err = keyfile.Secret(filepath.Join(keys, "console.key"), 32); err != nil {
		return err
	}
	var db *centredb.DB
	if c.Config.Database.Engine == EnginePostgres {
		db, err = centredb.OpenPostgres(ctx, c.Config.Database.DSN, now)
	} else {
		db, err = centredb.OpenSQLite(ctx, filepath.Join(c.Config.Centre.Data, "centre.db"), now)
	}
	if err != nil {
		return err
	}
	c.Store = db
	if err := db.SealParts(ctx, c.key); err != nil {
		return err
	}
	if d.Store != nil {
		c.Store = d.Store(db)
	}
	c.Ingest = ingest.New(c.Store, c.witness, c.clock, c.log)
	c.Enrol, err = enrol.New(enrol.Deps{Store: c.Store, Authority: c.authority, Witness: c.witness, Clock: c.clock, Broker: c.Config.Broker.Public, Kick: c.kick, Log: c.log}, c.Config.Centre.Names)
	return err
}

// Close closes what Open opened.
func (c *Centre) Close() error {
	var errs []error
	for _, l := range []net.Listener{c.brokerAt, c.enrolAt, c.consoleAt} {
		if l != nil {
			if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	if c.Store != nil {
		errs = append(errs, c.Store.Close())
	}
	return errors.Join(errs...)
}

// Fingerprint of the authority, as appliances are configured with it.
func (c *Centre) Fingerprint() string { return c.authority.Fingerprint() }

// Key is the console's secret.
func (c *Centre) Key() []byte { return c.key }

// SetUpCode makes the one-time code for the first person; empty: there is somebody already.
func (c *Centre) SetUpCode(ctx context.Context) (string, error) {
	return console.SetUpCode(ctx, c.Store, c.clock.Now().Wall)
}

// Now is what the centre's clock says.
func (c *Centre) Now() time.Time { return c.clock.Now().Wall }

// WitnessKeys are the verifier keys of statements and of cosignatures.
func (c *Centre) WitnessKeys() (statements, cosignatures string) {
	return c.witness.Key(), c.witness.CosignerKey()
}

func (c *Centre) kick(appliance string) {
	if c.broker != nil {
		c.broker.Kick(appliance)
	}
}

// Addresses are where the centre listens.
type Addresses struct{ Broker, Enrol, Console string }

// Listen opens the listeners and says where. Ports of 0 get one of the machine's choice; an address that
// appliances are given defaults to the first name of this machine with that port.
func (c *Centre) Listen() (a Addresses, err error) {
	open := func(addr string) net.Listener {
		if err != nil {
			return nil
		}
		var l net.Listener
		l, err = net.Listen("tcp", addr)
		return l
	}
	if c.Config.Broker.Kind == BrokerEmbedded {
		c.brokerAt = open(c.Config.Broker.Listen)
	}
	c.enrolAt, c.consoleAt = open(c.Config.Enrol.Listen), open(c.Config.Console.Listen)
	if err != nil {
		return a, fmt.Errorf("listen: %w", err)
	}
	a.Enrol, a.Console = c.Config.Enrol.Public, "https://"+c.named(c.consoleAt)
	if a.Enrol == "" {
		a.Enrol = "https://" + c.named(c.enrolAt)
	}
	a.Broker = c.Config.Broker.Public
	if c.brokerAt != nil {
		if a.Broker == "" {
			a.Broker = c.named(c.brokerAt)
		}
		c.broker, err = broker.New(broker.Options{Listener: c.brokerAt, TLS: c.Enrol.BrokerTLS(), Authenticate: c.Enrol.Authenticate,
			Centre: c.Ingest, Connections: c.Config.Broker.Connections, Log: c.log})
		if err != nil {
			return a, err
		}
	}
	c.Enrol.SetBroker(a.Broker)
	c.Config.Enrol.Public = strings.TrimSuffix(a.Enrol, "/")
	return a, nil
}

func (c *Centre) named(l net.Listener) string {
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return l.Addr().String()
	}
	return net.JoinHostPort(c.Config.Centre.Names[0], port)
}

// Run serves until ctx ends. Listen comes first.
func (c *Centre) Run(ctx context.Context) error {
	pages, err := console.New(ctx, console.Deps{Log: c.log, Clock: c.clock, Zone: c.zone, School: c.Config.Centre.Office, Version: Version,
		Store: c.Store, Enrol: c.Enrol, Key: c.key, CAPrint: c.Fingerprint(), Address: c.Config.Enrol.Public, Metrics: c.Metrics(), Certificates: c.certificates})
	if err != nil {
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			return nil // stopped while it started: nothing is open yet but what Close closes
		}
		return fmt.Errorf("run the centre: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	if c.broker != nil {
		if err := c.Store.AllOffline(context.WithoutCancel(ctx)); err != nil {
			return fmt.Errorf("run the centre: %w", err)
		}
		g.Go(func() error { return c.broker.Run(ctx) })
	} else {
		g.Go(func() error { return c.external().Run(ctx, c.Ingest) })
	}
	g.Go(func() error { return c.watchCertificates(ctx) })
	g.Go(func() error { return c.serve(ctx, "enrolment", c.enrolAt, c.Enrol.Handler()) })
	g.Go(func() error { return c.serve(ctx, "console", c.consoleAt, pages.Handler()) })
	return g.Wait()
}

func (c *Centre) external() ingest.External {
	e := ingest.External{URL: c.Config.Broker.URL, ClientID: "campuskeep-centre-" + c.Config.Centre.Name, User: c.Config.Broker.User, Password: c.Config.Broker.Password}
	if strings.HasPrefix(e.URL, "ssl:") {
		e.TLS = c.Enrol.ClientTLS()
		e.TLS.VerifyConnection = func(s tls.ConnectionState) error {
			until := s.PeerCertificates[0].NotAfter
			c.brokerUntil.Store(&until)
			return nil
		}
	}
	return e
}

// stopWait is how long requests may finish when the centre stops.
const stopWait = 5 * time.Second

func (c *Centre) serve(ctx context.Context, what string, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, TLSConfig: c.Enrol.ServerTLS(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(c.log.Handler(), slog.LevelDebug), BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) }}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWait)
		defer cancel()
		err := s.Shutdown(late)
		if errors.Is(err, context.DeadlineExceeded) { // a page that keeps watching
			err = s.Close()
		}
		stopped <- err
	}()
	if err := s.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", what, err)
	}
	return <-stopped
}

// Restored begins a new incarnation: the database was restored from a copy, so what was acknowledged since may be
// gone. Every appliance then compares and sends again what is missing.
func (c *Centre) Restored(ctx context.Context) (string, error) {
	inc, err := c.Store.Renew(ctx, c.clock.Now().Wall)
	if err != nil {
		return "", err
	}
	return inc.ID, nil
}

// BrokerCertificate writes broker.pem, broker.key and ca.pem for an external broker into a directory, and says until
// when they are good. Appliances believe no other authority.
func (c *Centre) BrokerCertificate(names []string, dir string) (until time.Time, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return until, fmt.Errorf("write the broker's certificate: %w", err)
	}
	cert, err := c.authority.Server(names, c.clock.Now().Wall)
	if err != nil {
		return until, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return until, err
	}
	encode := func(kind string, b ...[]byte) (out []byte) {
		for _, x := range b {
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: x})...)
		}
		return out
	}
	err = errors.Join(
		keyfile.Write(filepath.Join(dir, "broker.key"), encode("PRIVATE KEY", key), 0o600),
		keyfile.Write(filepath.Join(dir, "broker.pem"), encode("CERTIFICATE", cert.Certificate...), 0o644),
		keyfile.Write(filepath.Join(dir, "ca.pem"), encode("CERTIFICATE", c.authority.Root().Raw), 0o644))
	if err != nil {
		return until, fmt.Errorf("write the broker's certificate: %w", err)
	}
	return cert.Leaf.NotAfter, nil
}
