package extraction

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"unicode/utf8"

	"campuskeep/firmware/disk"
	"campuskeep/firmware/ledgerdb"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	"campuskeep/shared/lib/fielderr"
	"campuskeep/shared/packet"
	rules "campuskeep/shared/usage"
)

// MostCopies is how many numbered copies of a package can be handed out.
const MostCopies = 9

// ErrPrinted: the secret was printed before, or the appliance has it no more.
var ErrPrinted = errors.New("extraction: the secret was printed before")

// ErrStick: there is no stick, or it has no room.
var ErrStick = errors.New("extraction: the stick cannot be written")

// Secret gives the secret of a package, once, for the sheet of its hand-over. The entry that it was printed is durable
// before it is given; after that the appliance does not have it any more.
func (x *Extractions) Secret(ctx context.Context, by account.Who, id string) (secret [packet.SecretSize]byte, err error) {
	r, d, err := x.handing(ctx, by, id)
	if err != nil {
		return secret, err
	}
	x.step.Lock()
	defer x.step.Unlock()
	if r, err = x.row(id); err != nil {
		return secret, err
	}
	x.mu.RLock()
	secret, ok := x.secrets[id]
	x.mu.RUnlock()
	if !ok || !r.Printed.IsZero() || !r.There() {
		return [packet.SecretSize]byte{}, ErrPrinted
	}
	e := r.Extraction
	e.Printed = x.o.Clock.Now().Wall.UTC()
	if _, err := x.commit(ctx, e, r.rev, by.Draft("extraction.key", d.Role, e.ID, map[string]any{"application": e.Application})); err != nil {
		return [packet.SecretSize]byte{}, err
	}
	x.mu.Lock()
	delete(x.secrets, id)
	x.mu.Unlock()
	return secret, nil
}

// handing asks whether somebody may hand out a package now: its operator, while the approval counts.
func (x *Extractions) handing(ctx context.Context, by account.Who, id string) (row, account.Decision, error) {
	r, err := x.row(id)
	if err != nil {
		return r, account.Decision{}, err
	}
	d, err := x.o.Register.Allow(ctx, by, account.ActExtractionHand, x.Subject(r.Extraction))
	if err != nil {
		return r, d, err
	}
	a, err := x.o.Register.Get(r.Application)
	if err != nil {
		return r, d, err
	}
	if _, err := x.granted(a, x.o.Clock.Now().Wall); err != nil {
		return r, d, err
	}
	if !r.There() {
		return r, d, ErrState
	}
	return r, d, nil
}

// Download gives out the sealed file as the next numbered copy. The entry is durable before the first byte is sent; what
// breaks off has used its number.
func (x *Extractions) Download(ctx context.Context, by account.Who, id string) (io.ReadCloser, Extraction, Copy, error) {
	e, c, err := x.copyOut(ctx, by, id, "download", "")
	if err != nil {
		return nil, e, c, err
	}
	f, err := x.o.FS.Open(path.Join(folder, e.File))
	if err != nil {
		return nil, e, c, fmt.Errorf("open a sealed package: %w", err)
	}
	return f, e, c, nil
}

// copyOut enters that a copy leaves, and moves the application on.
func (x *Extractions) copyOut(ctx context.Context, by account.Who, id, medium, serial string) (Extraction, Copy, error) {
	r, d, err := x.handing(ctx, by, id)
	if err != nil {
		return r.Extraction, Copy{}, err
	}
	x.step.Lock()
	defer x.step.Unlock()
	if r, err = x.row(id); err != nil {
		return r.Extraction, Copy{}, err
	}
	if !r.There() || len(r.Copies) >= MostCopies {
		return r.Extraction, Copy{}, ErrState
	}
	e := r.Extraction
	c := Copy{No: len(e.Copies) + 1, Medium: medium, Serial: serial, At: x.o.Clock.Now().Wall.UTC(), By: by.ID}
	if e.State == Sealed {
		e.State = Handed
	}
	e.Copies = append(append([]Copy(nil), e.Copies...), c)
	data := map[string]any{"application": e.Application, "copy": c.No, "medium": medium, "sha256": hash64(e.SHA256)}
	if serial != "" {
		data["serial"] = serial
	}
	_, receipt, err := x.o.Register.Carry(ctx, by, e.Application, []rules.EventKind{rules.Deliver}, func(a rules.Application) (ledgerdb.Change, error) {
		if _, err := x.granted(a, x.o.Clock.Now().Wall); err != nil {
			return ledgerdb.Change{}, err
		}
		return ledgerdb.Change{Puts: []ledgerdb.Put{extractions.PutRev(e.ID, e, r.rev)},
			Entries: []ledger.Draft{by.Draft("extraction.copied", d.Role, e.ID, data)}}, nil
	})
	if err != nil {
		return r.Extraction, c, err
	}
	for _, entry := range receipt.Entries {
		if entry.Kind == "extraction.copied" {
			e.Copies[len(e.Copies)-1].Entry = entry.Seq
		}
	}
	x.put(e, receipt.Revs[1])
	return e, e.Copies[len(e.Copies)-1], nil
}

// openStick opens the stick that is mounted, when the package fits on it.
func (x *Extractions) openStick(e Extraction) (Stick, error) {
	if x.o.Stick == nil {
		return nil, fmt.Errorf("%w: none is configured", ErrStick)
	}
	s, err := x.o.Stick()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStick, err)
	}
	free, _, err := s.Free()
	if err == nil && int64(free) < e.Bytes+spareOnStick {
		err = fmt.Errorf("%d bytes are free, %d are needed", free, e.Bytes+spareOnStick)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrStick, err), s.Close())
	}
	return s, nil
}

const spareOnStick = 8 << 20 // the page beside it, and what the file system needs

// HasStick says whether the configuration names a mount point for sticks.
func (x *Extractions) HasStick() bool { return x.o.Stick != nil }

// WriteStick writes the sealed file to the stick as the next numbered copy, reads it back and compares every byte. tell,
// which may be nil, gets how far it is: bytes written and compared, of twice the size.
func (x *Extractions) WriteStick(ctx context.Context, by account.Who, id, serial string, tell func(done int64)) (Extraction, error) {
	serial = strings.ToLower(strings.TrimSpace(serial))
	if serial != "" && !serialCode(serial) {
		var faults fielderr.Errors
		faults.Add("serial", "err.extraction_serial")
		return Extraction{}, faults
	}
	r, _, err := x.handing(ctx, by, id)
	if err != nil {
		return r.Extraction, err
	}
	s, err := x.openStick(r.Extraction)
	if err != nil {
		return r.Extraction, err
	}
	defer func() {
		if err := s.Close(); err != nil {
			x.o.Log.Error("a stick was not let go", "err", err)
		}
	}()
	e, c, err := x.copyOut(ctx, by, id, "stick", serial)
	if err != nil {
		return e, err
	}
	result, err := x.write(ctx, s, e, tell)
	if err != nil {
		x.o.Log.Error("a package was not written to a stick", "extraction", e.ID, "err", err)
	}
	return x.compared(context.WithoutCancel(ctx), by, id, c.No, result)
}

func serialCode(s string) bool {
	return len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

// write gives same, different or unread.
func (x *Extractions) write(ctx context.Context, stick Stick, e Extraction, tell func(int64)) (result string, err error) {
	name := e.Number() + ".age"
	in, err := x.o.FS.Open(path.Join(folder, e.File))
	if err != nil {
		return "unread", err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	done := int64(0)
	step := func(n int) error {
		done += int64(n)
		if tell != nil {
			tell(done)
		}
		return ctx.Err()
	}
	if err := x.writePage(stick); err != nil {
		return "unread", err
	}
	out, err := stick.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "unread", err
	}
	buf := make([]byte, 1<<20)
	for err == nil {
		var n int
		if n, err = in.Read(buf); n > 0 {
			if _, werr := out.Write(buf[:n]); werr != nil {
				err = werr
				break
			}
			if serr := step(n); serr != nil {
				err = serr
			}
		}
	}
	if errors.Is(err, io.EOF) {
		err = out.Sync()
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = stick.SyncDir(".")
	}
	if err != nil {
		return "unread", errors.Join(err, removeFile(stick, name))
	}
	return same(stick, in, name, step)
}

// PageName is the name of the page that opens packages, beside them on a stick.
const PageName = "打开.html"

func (x *Extractions) writePage(stick Stick) error {
	f, err := stick.OpenFile(PageName, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(x.o.Page)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func removeFile(fsys disk.FS, name string) error {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// same reads a written file back from the medium, past what the system remembers of it, and compares.
func same(stick Stick, in disk.File, name string, step func(int) error) (result string, err error) {
	back, err := stick.Open(name)
	if err != nil {
		return "unread", err
	}
	defer func() { err = errors.Join(err, back.Close()) }()
	if err := disk.Uncached(back); err != nil {
		return "unread", err
	}
	a, b := make([]byte, 1<<20), make([]byte, 1<<20)
	for at := int64(0); ; {
		n, err := in.ReadAt(a, at)
		m, berr := back.ReadAt(b, at)
		if n != m || !bytes.Equal(a[:n], b[:m]) {
			return "different", nil
		}
		at += int64(n)
		if serr := step(n); serr != nil {
			return "unread", serr
		}
		switch {
		case errors.Is(err, io.EOF) && errors.Is(berr, io.EOF):
			return "same", nil
		case err != nil && !errors.Is(err, io.EOF):
			return "unread", err
		case berr != nil && !errors.Is(berr, io.EOF):
			return "unread", berr
		case n == 0:
			return "different", nil
		}
	}
}

// compared enters how the comparison of a copy ended.
func (x *Extractions) compared(ctx context.Context, by account.Who, id string, no int, result string) (Extraction, error) {
	x.step.Lock()
	defer x.step.Unlock()
	r, err := x.row(id)
	if err != nil {
		return r.Extraction, err
	}
	e := r.Extraction
	e.Copies = append([]Copy(nil), e.Copies...)
	e.Copies[no-1].Compared = result
	return x.commit(ctx, e, r.rev, by.Draft("extraction.compared", e.Operator.Role, e.ID, map[string]any{"application": e.Application, "copy": no, "result": result}))
}

// Receive enters the receipt of a copy, signed on the sheet of its hand-over. The use begins with it.
func (x *Extractions) Receive(ctx context.Context, by account.Who, id string, no int, names string) (Extraction, error) {
	return x.close(ctx, by, id, no, func(e *Extraction, c *Copy, role account.Role) (ledger.Draft, []rules.EventKind, error) {
		names, err := line("who", names, true)
		if err != nil {
			return ledger.Draft{}, nil, err
		}
		if c.Receipt != nil || c.Compared == "different" || c.Medium == "stick" && c.Compared != "same" {
			return ledger.Draft{}, nil, ErrState
		}
		c.Receipt = &Receipt{At: x.o.Clock.Now().Wall.UTC(), By: by.ID, Who: names, How: "signed"}
		if e.State == Handed {
			e.State = Received
		}
		return by.Draft("extraction.received", role, e.ID, map[string]any{"application": e.Application, "copy": no, "how": "signed"},
			ledger.Part{Name: "receipt", Owner: owner(e.Application), Plain: []byte(names)}), []rules.EventKind{rules.Use}, nil
	})
}

// Fates are what can become of a copy; the catalogue has "extraction.fate.<code>". Unusable: the stick was not the same,
// or the download broke off, and it was never handed over.
var Fates = []string{"returned", "destroyed", "filed", "unusable"}

// Close enters what became of a copy.
func (x *Extractions) Close(ctx context.Context, by account.Who, id string, no int, what, note string) (Extraction, error) {
	return x.close(ctx, by, id, no, func(e *Extraction, c *Copy, role account.Role) (ledger.Draft, []rules.EventKind, error) {
		note, err := line("note", note, what == "filed")
		if err != nil {
			return ledger.Draft{}, nil, err
		}
		known := false
		for _, f := range Fates {
			known = known || f == what
		}
		if !known || (what == "unusable") != (c.Receipt == nil) {
			var faults fielderr.Errors
			faults.Add("what", "err.choice")
			return ledger.Draft{}, nil, faults
		}
		if c.Returned != nil {
			return ledger.Draft{}, nil, ErrState
		}
		c.Returned = &Return{At: x.o.Clock.Now().Wall.UTC(), By: by.ID, What: what, Note: note}
		open, received := false, false
		for _, o := range e.Copies {
			open = open || o.Returned == nil
			received = received || o.Receipt != nil
		}
		if !open && received {
			e.State = Returned
		}
		var parts []ledger.Part
		if note != "" {
			parts = append(parts, ledger.Part{Name: "note", Owner: owner(e.Application), Plain: []byte(note)})
		}
		return by.Draft("extraction.returned", role, e.ID, map[string]any{"application": e.Application, "copy": no, "what": what}, parts...), nil, nil
	})
}

// line checks a text of one line.
func line(field, s string, required bool) (string, error) {
	s = strings.TrimSpace(s)
	var faults fielderr.Errors
	switch {
	case s == "" && required:
		faults.Add(field, "err.required")
	case !utf8.ValidString(s) || strings.ContainsAny(s, "\r\n\t\x00"):
		faults.Add(field, "err.text")
	case utf8.RuneCountInString(s) > 200:
		faults.Add(field, "err.too_long", 200)
	}
	return s, faults.Err()
}

// close changes one copy of an extraction, with the application where an event goes with it.
func (x *Extractions) close(ctx context.Context, by account.Who, id string, no int, change func(*Extraction, *Copy, account.Role) (ledger.Draft, []rules.EventKind, error)) (Extraction, error) {
	r, err := x.row(id)
	if err != nil {
		return r.Extraction, err
	}
	d, err := x.o.Register.Allow(ctx, by, account.ActExtractionClose, x.Subject(r.Extraction))
	if err != nil {
		return r.Extraction, err
	}
	x.step.Lock()
	defer x.step.Unlock()
	if r, err = x.row(id); err != nil {
		return r.Extraction, err
	}
	e := r.Extraction
	e.Copies = append([]Copy(nil), e.Copies...)
	if no < 1 || no > len(e.Copies) {
		return r.Extraction, ErrNotFound
	}
	draft, events, err := change(&e, &e.Copies[no-1], d.Role)
	if err != nil {
		return r.Extraction, err
	}
	build := func(a rules.Application) (ledgerdb.Change, error) {
		return ledgerdb.Change{Puts: []ledgerdb.Put{extractions.PutRev(e.ID, e, r.rev)}, Entries: []ledger.Draft{draft}}, nil
	}
	rev := 0
	if a, err := x.o.Register.Get(e.Application); err != nil || len(a.Grants()) == 0 {
		events = nil // the application is over, but what became of the copy is still entered
	}
	if len(events) > 0 {
		rev = 1
	}
	_, receipt, err := x.o.Register.Carry(ctx, by, e.Application, events, build)
	if err != nil {
		return r.Extraction, err
	}
	for _, entry := range receipt.Entries {
		switch c := &e.Copies[no-1]; entry.Kind {
		case "extraction.received":
			c.Receipt.Entry = entry.Seq
		case "extraction.returned":
			c.Returned.Entry = entry.Seq
		}
	}
	x.put(e, receipt.Revs[rev])
	return e, nil
}
