package ledger

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Algorithm bytes in note keys: C2SP signed-note and tlog-cosignature.
const (
	algEd25519     = 1
	algCosignature = 4
)

// Checkpoint is the head of a log: so many leaves have this root.
type Checkpoint struct {
	Origin string // campuskeep/<appliance>/<epoch>
	Size   uint64
	Root   tlog.Hash
}

// Origin joins the name of a log's key and its epoch.
func Origin(name string, epoch uint64) string { return name + "/" + strconv.FormatUint(epoch, 10) }

// SplitOrigin is the inverse of Origin.
func SplitOrigin(origin string) (name string, epoch uint64, err error) {
	i := strings.LastIndexByte(origin, '/')
	if i <= 0 {
		return "", 0, fmt.Errorf("ledger: origin %q has no epoch", origin)
	}
	epoch, err = strconv.ParseUint(origin[i+1:], 10, 64)
	if err != nil || epoch == 0 || Origin(origin[:i], epoch) != origin {
		return "", 0, fmt.Errorf("ledger: origin %q has no epoch", origin)
	}
	return origin[:i], epoch, nil
}

// Text is the signed text: C2SP tlog-checkpoint without extension lines.
func (c Checkpoint) Text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, c.Root)
}

// Sign makes the signed note.
func (c Checkpoint) Sign(s note.Signer) ([]byte, error) {
	b, err := note.Sign(&note.Note{Text: c.Text()}, s)
	if err != nil {
		return nil, fmt.Errorf("ledger: sign checkpoint: %w", err)
	}
	return b, nil
}

// ParseCheckpointText reads the signed text, in the one form that Text writes.
func ParseCheckpointText(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return Checkpoint{}, errors.New("ledger: a checkpoint has three lines")
	}
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil || clamp(size) < 0 {
		return Checkpoint{}, errors.New("ledger: checkpoint size")
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, errors.New("ledger: checkpoint root")
	}
	c := Checkpoint{lines[0], size, root}
	if c.Text() != text || c.Origin == "" {
		return Checkpoint{}, errors.New("ledger: checkpoint is not in canonical form")
	}
	return c, nil
}

// OpenCheckpoint verifies a signed checkpoint: at least one of the verifiers signed it, and none of their
// signatures is wrong. Signatures by others stay in Note.UnverifiedSigs.
func OpenCheckpoint(msg []byte, verifiers ...note.Verifier) (Checkpoint, *note.Note, error) {
	n, err := note.Open(msg, note.VerifierList(verifiers...))
	if err != nil {
		return Checkpoint{}, nil, fmt.Errorf("ledger: checkpoint: %w", err)
	}
	c, err := ParseCheckpointText(n.Text)
	return c, n, err
}

// Signer makes the note signer of a log (or of any one) from its Ed25519 key, which may live in hardware.
func Signer(name string, key crypto.Signer) (note.Signer, error) {
	pub, err := publicOf(name, key)
	if err != nil {
		return nil, err
	}
	return &signer{name, keyID(name, algEd25519, pub), func(msg []byte) ([]byte, error) {
		return key.Sign(rand.Reader, msg, crypto.Hash(0))
	}}, nil
}

// VerifierKey is the public key in note form: name+id+base64.
func VerifierKey(name string, pub ed25519.PublicKey) string { return formatKey(name, algEd25519, pub) }

// WitnessSigner makes the signer of cosignatures with the time at: cosignature/v1 of C2SP tlog-cosignature.
func WitnessSigner(name string, key crypto.Signer, at time.Time) (note.Signer, error) {
	pub, err := publicOf(name, key)
	if err != nil {
		return nil, err
	}
	if at.Unix() < 0 {
		return nil, errors.New("ledger: cosignature before 1970")
	}
	stamp := uint64(at.Unix())
	return &signer{name, keyID(name, algCosignature, pub), func(msg []byte) ([]byte, error) {
		sig, err := key.Sign(rand.Reader, cosigned(stamp, msg), crypto.Hash(0))
		if err != nil {
			return nil, err
		}
		return append(binary.BigEndian.AppendUint64(nil, stamp), sig...), nil
	}}, nil
}

// WitnessKey is the public key of a cosigner in note form.
func WitnessKey(name string, pub ed25519.PublicKey) string {
	return formatKey(name, algCosignature, pub)
}

// Cosign adds a cosignature to a checkpoint that log signed. It checks only that signature: that the
// leaves are stored and the tree is the same is the caller's promise.
func Cosign(checkpoint []byte, log note.Verifier, witness note.Signer) ([]byte, error) {
	_, n, err := OpenCheckpoint(checkpoint, log)
	if err != nil {
		return nil, err
	}
	n.UnverifiedSigs = nil
	b, err := note.Sign(n, witness)
	if err != nil {
		return nil, fmt.Errorf("ledger: cosign: %w", err)
	}
	return b, nil
}

// CosignatureTime is the time that the cosignature by v in an opened note states; ok is false without one.
func CosignatureTime(n *note.Note, v note.Verifier) (at time.Time, ok bool) {
	for _, s := range n.Sigs {
		if s.Name != v.Name() || s.Hash != v.KeyHash() {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(s.Base64)
		if err != nil || len(raw) != 4+8+ed25519.SignatureSize {
			return time.Time{}, false
		}
		return time.Unix(int64(binary.BigEndian.Uint64(raw[4:])), 0).UTC(), true
	}
	return time.Time{}, false
}

// Verifier is a public key with its kind.
type Verifier struct {
	note.Verifier
	Witness bool // signs cosignatures with a time, not checkpoints of its own
	Key     string
}

// ParseVerifier reads a key in note form, of a log or of a witness.
func ParseVerifier(vkey string) (Verifier, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	_, key64, _ := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.Strict().DecodeString(key64)
	if err != nil || len(key) != 1+ed25519.PublicKeySize || (key[0] != algEd25519 && key[0] != algCosignature) ||
		name == "" || formatKey(name, key[0], key[1:]) != vkey || strings.ContainsFunc(name, notName) {
		return Verifier{}, errors.New("ledger: malformed verifier key: want name+id+base64")
	}
	pub := ed25519.PublicKey(key[1:])
	v := &verifier{name: name, id: keyID(name, key[0], pub), verify: func(msg, sig []byte) bool { return ed25519.Verify(pub, msg, sig) }}
	if key[0] == algCosignature {
		v.verify = func(msg, sig []byte) bool {
			return len(sig) == 8+ed25519.SignatureSize && sig[0] < 0x80 &&
				ed25519.Verify(pub, cosigned(binary.BigEndian.Uint64(sig), msg), sig[8:])
		}
	}
	return Verifier{v, key[0] == algCosignature, vkey}, nil
}

func cosigned(stamp uint64, msg []byte) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", stamp), msg...)
}

func notName(r rune) bool { return r <= ' ' || r > '~' || r == '+' }

func publicOf(name string, key crypto.Signer) (ed25519.PublicKey, error) {
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("ledger: the key is not Ed25519")
	}
	if name == "" || strings.ContainsFunc(name, notName) {
		return nil, fmt.Errorf("ledger: key name %q: want printable ASCII without space and +", name)
	}
	return pub, nil
}

func keyID(name string, alg byte, pub ed25519.PublicKey) uint32 {
	h := sha256.New()
	h.Write([]byte(name))
	h.Write([]byte{'\n', alg})
	h.Write(pub)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

func formatKey(name string, alg byte, pub ed25519.PublicKey) string {
	return fmt.Sprintf("%s+%08x+%s", name, keyID(name, alg, pub), base64.StdEncoding.EncodeToString(append([]byte{alg}, pub...)))
}

type signer struct {
	name string
	id   uint32
	sign func([]byte) ([]byte, error)
}

func (s *signer) Name() string                    { return s.name }
func (s *signer) KeyHash() uint32                 { return s.id }
func (s *signer) Sign(msg []byte) ([]byte, error) { return s.sign(msg) }

type verifier struct {
	name   string
	id     uint32
	verify func(msg, sig []byte) bool
}

func (v *verifier) Name() string                { return v.name }
func (v *verifier) KeyHash() uint32             { return v.id }
func (v *verifier) Verify(msg, sig []byte) bool { return v.verify(msg, sig) }
