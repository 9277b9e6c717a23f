package keyring

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxtpm"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"

	"campuskeep/firmware/disk"
)

// A root key in a TPM 2.0 lies in an NV index of the owner hierarchy: undefining the index destroys the key inside
// the chip, which no copy of the disk brings back. The index is opened with a secret in keys/tpm, so that neither
// the disk nor the chip alone gives the key, and the key crosses the wires encrypted (salted session).
const (
	tpmIndex  = 0x0181CB01 // and the one after it
	tpmSecret = "tpm"
)

// tpmSlot is one of the two indexes. The device is opened for each step: it is asked at the start and in rotations.
type tpmSlot struct {
	fs     disk.FS
	device string
	index  tpm2.TPMHandle
}

// TPMSlots are the places of a root key in the TPM behind a device: the kernel's resource manager (/dev/tpmrm0), or
// the socket of a TPM that somebody else serves. fsys is the data directory.
func TPMSlots(fsys disk.FS, device string) []Slot {
	return []Slot{tpmSlot{fsys, device, tpmIndex}, tpmSlot{fsys, device, tpmIndex + 1}}
}

func (s tpmSlot) Place() string { return PlaceTPM }

// with runs a step on the open device.
func (s tpmSlot) with(what string, step func(transport.TPM) error) (err error) {
	info, err := os.Stat(s.device)
	if err != nil {
		return fmt.Errorf("%s in the TPM: %w", what, err)
	}
	open := linuxtpm.Open
	if info.Mode()&os.ModeSocket != 0 {
		open = linuxudstpm.Open
	}
	t, err := open(s.device)
	if err != nil {
		return fmt.Errorf("%s in the TPM: %w", what, err)
	}
	defer func() {
		if cerr := t.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("%s in the TPM: %w", what, cerr)
		}
	}()
	if err := step(t); err != nil {
		return fmt.Errorf("%s in the TPM at %s, index %#x: %w", what, s.device, uint32(s.index), err)
	}
	return nil
}

func (s tpmSlot) Read() (key Key, ok bool, err error) {
	err = s.with("read the root key", func(t transport.TPM) error {
		self, found, err := s.find(t)
		if err != nil || !found {
			return err
		}
		secret, err := disk.ReadFile(s.fs, path.Join(dir, tpmSecret))
		if errors.Is(err, fs.ErrNotExist) {
			return errors.New("it holds a key of another data directory: restore keys/tpm, or clear the index (tpm2_nvundefine)")
		}
		if err != nil {
			return err
		}
		var got *tpm2.NVReadResponse
		err = sealed(t, secret, unwrapTemplate, func(session tpm2.Session) (err error) {
			self.Auth = session
			got, err = tpm2.NVRead{AuthHandle: self, NVIndex: named(self), Size: uint16(len(key))}.Execute(t)
			return err
		})
		if errors.Is(err, tpm2.TPMRCNVUninitialized) {
			return nil // defined, and then the power went
		}
		if err != nil {
			return err
		}
		if len(got.Data.Buffer) != len(key) {
			return fmt.Errorf("it holds %d bytes, want %d", len(got.Data.Buffer), len(key))
		}
		key, ok = Key(got.Data.Buffer), true
		return nil
	})
	return key, ok, err
}

func (s tpmSlot) Write(key Key) error {
	secret, err := s.secret()
	if err != nil {
		return err
	}
	return s.with("store a root key", func(t transport.TPM) error {
		if err := s.undefine(t); err != nil { // defined and never written
			return err
		}
		define := tpm2.NVDefineSpace{Auth: tpm2.TPM2BAuth{Buffer: secret}, PublicInfo: tpm2.New2B(tpm2.TPMSNVPublic{
			NVIndex: s.index, NameAlg: tpm2.TPMAlgSHA256, DataSize: uint16(len(key)),
			Attributes: tpm2.TPMANV{AuthRead: true, AuthWrite: true, WriteAll: true, NoDA: true, NT: tpm2.TPMNTOrdinary},
		})}
		err := sealed(t, nil, wrapTemplate, func(session tpm2.Session) error {
			define.AuthHandle = tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Name: tpm2.HandleName(tpm2.TPMRHOwner), Auth: session}
			_, err := define.Execute(t)
			return err
		})
		if err != nil {
			return fmt.Errorf("define the index: %w", err)
		}
		self, _, err := s.find(t)
		if err != nil {
			return err
		}
		return sealed(t, secret, wrapTemplate, func(session tpm2.Session) error {
			self.Auth = session
			_, err := tpm2.NVWrite{AuthHandle: self, NVIndex: named(self), Data: tpm2.TPM2BMaxNVBuffer{Buffer: key[:]}}.Execute(t)
			return err
		})
	})
}

func (s tpmSlot) Clear() error { return s.with("clear a root key", s.undefine) }

func (s tpmSlot) undefine(t transport.TPM) error {
	self, found, err := s.find(t)
	if err != nil || !found {
		return err
	}
	_, err = tpm2.NVUndefineSpace{AuthHandle: tpm2.TPMRHOwner, NVIndex: named(self)}.Execute(t)
	return err
}

func named(h tpm2.AuthHandle) tpm2.NamedHandle {
	return tpm2.NamedHandle{Handle: h.Handle, Name: h.Name}
}

// find gives the index with its present name; found is false when it is not defined.
func (s tpmSlot) find(t transport.TPM) (h tpm2.AuthHandle, found bool, err error) {
	pub, err := tpm2.NVReadPublic{NVIndex: s.index}.Execute(t)
	if errors.Is(err, tpm2.TPMRCHandle) {
		return h, false, nil
	}
	if err != nil {
		return h, false, err
	}
	return tpm2.AuthHandle{Handle: s.index, Name: pub.NVName}, true, nil
}

var (
	wrapTemplate   = tpm2.AESEncryption(128, tpm2.EncryptIn)
	unwrapTemplate = tpm2.AESEncryption(128, tpm2.EncryptOut)
)

// sealed runs a command in a session that proves a secret and encrypts what goes in or comes out, so that who
// listens on the wires between the processor and the chip learns nothing. Its salt is sent to a primary key that the
// chip makes for this.
func sealed(t transport.TPM, secret []byte, way tpm2.AuthOption, command func(tpm2.Session) error) error {
	primary, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(t)
	if err != nil {
		return fmt.Errorf("make a primary key: %w", err)
	}
	public, err := primary.OutPublic.Contents()
	if err == nil {
		err = command(tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Auth(secret), tpm2.Salted(primary.ObjectHandle, *public), way))
	}
	_, ferr := tpm2.FlushContext{FlushHandle: primary.ObjectHandle}.Execute(t)
	return errors.Join(err, ferr)
}

// secret reads the secret of the indexes, or makes it.
func (s tpmSlot) secret() ([]byte, error) {
	name := path.Join(dir, tpmSecret)
	b, err := disk.ReadFile(s.fs, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	b = newSecret()
	return b, disk.WriteAtomic(s.fs, name, b, 0o600)
}

// newSecret has no zero among its bytes: a TPM drops those at the end of an authorization value (TPM 2.0 Part 1,
// 19.6.5), and go-tpm 0.9.6 cuts the value at the first one.
func newSecret() []byte {
	b := make([]byte, 32)
	for i := range b {
		for b[i] == 0 {
			rand.Read(b[i : i+1])
		}
	}
	return b
}
