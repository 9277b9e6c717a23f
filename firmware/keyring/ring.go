package keyring

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/crypto/chacha20poly1305"

	"campuskeep/firmware/disk"
)

// Key is one 256-bit key.
type Key = [32]byte

// Ring is a set of keys by id. It is safe for concurrent use.
type Ring struct {
	root *Root
	name string

	writing sync.Mutex // held while the file is replaced; taken before mu

	mu     sync.RWMutex
	keys   map[string]Key // guarded by mu; what the file durably holds, while it is not unsure
	unsure bool           // guarded by mu; a write failed: whether the file holds the keys before it or after is not known
	queue  []*change      // guarded by mu; not yet taken by a write
}

// change is what one caller wants of the file. Every change is applied once, in the order in which they came.
type change struct {
	add   map[string]Key // where the ring has none
	erase []string

	done bool  // guarded by Ring.writing
	err  error // guarded by Ring.writing
}

// Name is the ring's name.
func (k *Ring) Name() string { return k.name }

// Key gives a key; ok is false when it was erased or never existed.
func (k *Ring) Key(id string) (key Key, ok bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	key, ok = k.keys[id]
	return key, ok
}

// IDs lists the ids in order.
func (k *Ring) IDs() []string {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return slices.Sorted(maps.Keys(k.keys))
}

// Ensure makes the missing ones of these keys. They are durable when it returns nil. Callers that come
// while the file is being written share the next write.
func (k *Ring) Ensure(ctx context.Context, ids ...string) error {
	keys := make(map[string]Key, len(ids))
	for _, id := range ids {
		keys[id] = Key{}
	}
	if k.hasDurably(keys) {
		return nil
	}
	for id := range keys { // also those that are there now: they may be erased before the write
		var key Key
		rand.Read(key[:])
		keys[id] = key
	}
	return k.Adopt(ctx, keys)
}

// Adopt takes keys that were made elsewhere into the ring, durably before it returns: the file keys of held
// segments. Ids that the ring has keep their key.
func (k *Ring) Adopt(ctx context.Context, keys map[string]Key) error {
	for id := range keys {
		if id == "" || len(id) > maxID {
			return fmt.Errorf("keyring: key id of %d bytes, want 1 to %d", len(id), maxID)
		}
	}
	if k.hasDurably(keys) {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return k.write(&change{add: keys})
}

// hasDurably says whether the file surely holds keys for all these ids.
func (k *Ring) hasDurably(keys map[string]Key) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for id := range keys {
		if _, ok := k.keys[id]; !ok {
			return false
		}
	}
	return !k.unsure || len(keys) == 0
}

// Erase destroys keys; it is durable when it returns nil, and unknown ids are fine. After an error the
// keys are still listed, so that the caller tries again, but a power cut may already take them.
func (k *Ring) Erase(ids ...string) error { return k.write(&change{erase: ids}) }

// write replaces the file by one with the change and all that wait with it; one that another caller's write took
// along has that write's outcome.
func (k *Ring) write(c *change) error {
	k.mu.Lock()
	k.queue = append(k.queue, c)
	k.mu.Unlock()

	k.writing.Lock()
	defer k.writing.Unlock()
	if c.done {
		return c.err
	}
	k.mu.Lock()
	batch, next, needed := k.queue, maps.Clone(k.keys), k.unsure
	k.queue = nil
	k.mu.Unlock()
	for _, c := range batch {
		needed = c.apply(next) || needed
	}
	var err error
	if needed {
		err = k.replace(next)
	}
	for _, c := range batch {
		c.done, c.err = true, err
	}
	return err
}

// apply makes the change in a copy of the keys and says whether it changed anything.
func (c *change) apply(next map[string]Key) (changed bool) {
	for id, key := range c.add {
		if _, ok := next[id]; !ok {
			next[id], changed = key, true
		}
	}
	for _, id := range c.erase {
		if _, ok := next[id]; ok {
			delete(next, id)
			changed = true
		}
	}
	return changed
}

// replace writes the file; writing is held.
func (k *Ring) replace(next map[string]Key) error {
	k.root.turning.RLock()
	defer k.root.turning.RUnlock()
	if k.root.half {
		return fmt.Errorf("write ring %s: %w", k.name, ErrHalfRotated)
	}
	err := disk.WriteAtomic(k.root.fs, k.file(), sealRing(k.root.key, k.name, next), 0o600)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.unsure = err != nil; k.unsure {
		return fmt.Errorf("write ring %s: %w", k.name, err)
	}
	k.keys = next
	return nil
}

// The sealed forms are version ‖ 24-byte nonce ‖ XChaCha20-Poly1305.
const (
	sealVersion = 1
	maxID       = 255
)

// Seal encrypts a small value under the owner's key, which Ensure must have made. aad is bound, not stored.
func (k *Ring) Seal(owner string, aad, plain []byte) ([]byte, error) {
	key, ok := k.Key(owner)
	if !ok {
		return nil, fmt.Errorf("seal for %s in ring %s: %w", owner, k.name, ErrErased)
	}
	return seal(key, k.bind(owner, aad), plain), nil
}

// Open decrypts what Seal made; ErrErased when the key is gone.
func (k *Ring) Open(owner string, aad, sealed []byte) ([]byte, error) {
	key, ok := k.Key(owner)
	if !ok {
		return nil, fmt.Errorf("open for %s in ring %s: %w", owner, k.name, ErrErased)
	}
	plain, err := unseal(key, k.bind(owner, aad), sealed)
	if err != nil {
		return nil, fmt.Errorf("open for %s in ring %s: %w", owner, k.name, err)
	}
	return plain, nil
}

// bind makes the additional data unambiguous: ring, owner and the caller's own, each with its length.
func (k *Ring) bind(owner string, aad []byte) []byte {
	b := appendString([]byte("campuskeep sealed value"), k.name)
	b = appendString(b, owner)
	return append(b, aad...)
}

func seal(key Key, aad, plain []byte) []byte {
	a, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic(err) // only for a wrong key length, which the type excludes
	}
	out := make([]byte, 1+chacha20poly1305.NonceSizeX, 1+chacha20poly1305.NonceSizeX+len(plain)+chacha20poly1305.Overhead)
	out[0] = sealVersion
	rand.Read(out[1:])
	return a.Seal(out, out[1:], plain, aad)
}

var errSealed = errors.New("sealed value is damaged or not ours")

func unseal(key Key, aad, sealed []byte) ([]byte, error) {
	a, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic(err) // as above
	}
	const head = 1 + chacha20poly1305.NonceSizeX
	if len(sealed) < head+chacha20poly1305.Overhead || sealed[0] != sealVersion {
		return nil, errSealed
	}
	plain, err := a.Open(nil, sealed[1:head], sealed[head:], aad)
	if err != nil {
		return nil, errSealed
	}
	return plain, nil
}

// A ring file is "ckring1\n" ‖ sealed(list), the list being, per key in order of id: len(id) in one byte ‖ id ‖ key.
const ringMagic = "ckring1\n"

func sealRing(root Key, name string, keys map[string]Key) []byte {
	var list []byte
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		key := keys[id]
		list = append(list, byte(len(id)))
		list = append(list, id...)
		list = append(list, key[:]...)
	}
	return append([]byte(ringMagic), seal(root, appendString([]byte(ringMagic), name), list)...)
}

func unsealRing(root Key, name string, file []byte) (map[string]Key, error) {
	if len(file) < len(ringMagic) || string(file[:len(ringMagic)]) != ringMagic {
		return nil, errors.New("not a key ring file")
	}
	list, err := unseal(root, appendString([]byte(ringMagic), name), file[len(ringMagic):])
	if err != nil {
		return nil, fmt.Errorf("%w: another root key, or the file was changed", err)
	}
	return parseRing(list)
}

func parseRing(list []byte) (map[string]Key, error) {
	keys := map[string]Key{}
	for len(list) > 0 {
		n := int(list[0])
		if n == 0 || len(list) < 1+n+len(Key{}) {
			return nil, errors.New("key list ends inside a key")
		}
		id := string(list[1 : 1+n])
		if _, twice := keys[id]; twice {
			return nil, fmt.Errorf("key list names %q twice", id)
		}
		keys[id] = Key(list[1+n : 1+n+len(Key{})])
		list = list[1+n+len(Key{}):]
	}
	return keys, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}
