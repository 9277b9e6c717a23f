package reader

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"slices"
)

// Types of the security block: the four steps of opening a channel, then what is inside it.
const (
	scsChallenge  = 0x11
	scsClient     = 0x12
	scsServer     = 0x13
	scsInitialMAC = 0x14
	scsCommandMAC = 0x15 // signed
	scsReplyMAC   = 0x16
	scsCommandEnc = 0x17 // signed and encrypted
	scsReplyEnc   = 0x18
)

// KeyLen is the length of a secure channel base key.
const KeyLen = 16

// Key is a secure channel base key, SCBK.
type Key [KeyLen]byte

// defaultKey, SCBK-D, is in the standard: anyone who listens knows it. It opens a channel only while a reader is being
// installed.
var defaultKey = Key{0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F}

const (
	macSent = 4 // bytes of a MAC that travel
	padMark = 0x80
)

// Faults of a secure channel.
var (
	errMAC        = errors.New("the message is not from the reader that holds the key")
	errCryptogram = errors.New("the reader does not hold the key")
)

// channel is one session with one reader, from the control panel's side. It is of one goroutine.
type channel struct {
	key              Key
	keyByte          byte // what the security block says of the key: 0 the default key, 1 the reader's own
	rndA             [8]byte
	enc, mac1, mac2  cipher.Block
	commandMAC, rMAC [aes.BlockSize]byte
	open             bool
}

// newChannel begins to open a session.
func newChannel(k Key) *channel {
	c := &channel{key: k, keyByte: 1}
	if k == defaultKey {
		c.keyByte = 0
	}
	rand.Read(c.rndA[:])
	return c
}

// block is AES-128 under a key.
func block(k []byte) cipher.Block {
	b, err := aes.NewCipher(k)
	if err != nil {
		panic("reader: " + err.Error()) // only of another length
	}
	return b
}

// sessionKey derives one of the three keys of a session from the base key and the control panel's random number.
func sessionKey(base Key, a, b byte, rndA [8]byte) cipher.Block {
	var in, out [aes.BlockSize]byte
	in[0], in[1] = a, b
	copy(in[2:], rndA[:6])
	block(base[:]).Encrypt(out[:], in[:])
	return block(out[:])
}

// challenge is the first command of a session.
func (c *channel) challenge() command { return command{cmdChallenge, c.rndA[:]} }

// answer takes the reader's osdp_CCRYPT and gives the second command.
func (c *channel) answer(f frame) (command, error) {
	if f.code != replyCCrypt || f.scs != scsClient || len(f.scsData) != 1 || f.scsData[0] != c.keyByte || len(f.data) != 32 {
		return command{}, errCryptogram
	}
	c.enc = sessionKey(c.key, 0x01, 0x82, c.rndA)
	c.mac1 = sessionKey(c.key, 0x01, 0x01, c.rndA)
	c.mac2 = sessionKey(c.key, 0x01, 0x02, c.rndA)
	rndB := f.data[8:16]
	want := c.cryptogram(slices.Concat(c.rndA[:], rndB))
	if subtle.ConstantTimeCompare(want[:], f.data[16:32]) != 1 {
		return command{}, errCryptogram
	}
	mine := c.cryptogram(slices.Concat(rndB, c.rndA[:]))
	c.mac1.Encrypt(c.rMAC[:], mine[:])
	c.mac2.Encrypt(c.rMAC[:], c.rMAC[:])
	return command{cmdCrypt, mine[:]}, nil
}

func (c *channel) cryptogram(rnd []byte) (out [aes.BlockSize]byte) {
	c.enc.Encrypt(out[:], rnd)
	return out
}

// confirm takes the reader's osdp_RMAC_I: the channel is open.
func (c *channel) confirm(f frame) error {
	if f.code != replyRMAC || f.scs != scsInitialMAC || len(f.data) != aes.BlockSize ||
		len(f.scsData) == 1 && f.scsData[0] != 1 || subtle.ConstantTimeCompare(f.data, c.rMAC[:]) != 1 {
		return errCryptogram
	}
	c.open = true
	return nil
}

// shakes says that a command is part of opening a channel, with the type of its security block.
func shakes(code byte) (scs byte, ok bool) {
	switch code {
	case cmdChallenge:
		return scsChallenge, true
	case cmdCrypt:
		return scsServer, true
	}
	return 0, false
}

// seal writes a command inside the channel behind dst. The same command under the same number gives the same bytes
// until an answer to it was opened: that is what a reader must be sent again.
func (c *channel) seal(dst []byte, f frame) []byte {
	dst = append(dst, mark)
	start := len(dst)
	f.secure, f.scs = true, scsCommandMAC
	if len(f.data) > 0 {
		f.scs = scsCommandEnc
	}
	dst = f.head(dst)
	if len(f.data) > 0 {
		padded := pad(f.data)
		cipher.NewCBCEncrypter(c.enc, inverted(c.rMAC)).CryptBlocks(padded, padded)
		dst = append(dst, padded...)
	}
	dst = f.finish(dst, start, macSent)
	c.commandMAC = c.mac(c.rMAC, dst[start:])
	dst = append(dst, c.commandMAC[:macSent]...)
	return f.finish(dst, start, 0)
}

// unseal takes an answer inside the channel and gives it as it is without; what is not signed by the reader is
// refused and leaves the channel as it was.
func (c *channel) unseal(f frame) (frame, error) {
	if !f.secure || f.scs != scsReplyMAC && f.scs != scsReplyEnc || len(f.data) < macSent {
		return frame{}, errMAC
	}
	signed, sent := f.signed[:len(f.signed)-macSent], f.signed[len(f.signed)-macSent:]
	mac := c.mac(c.commandMAC, signed)
	if subtle.ConstantTimeCompare(mac[:macSent], sent) != 1 {
		return frame{}, errMAC
	}
	f.data = f.data[:len(f.data)-macSent]
	if f.scs == scsReplyEnc {
		data, ok := c.decrypt(f.data)
		if !ok {
			return frame{}, errMAC
		}
		f.data = data
	}
	c.rMAC = mac
	f.secure, f.scs, f.scsData = false, 0, nil
	return f, nil
}

func (c *channel) decrypt(data []byte) ([]byte, bool) {
	if len(data)%aes.BlockSize != 0 {
		return nil, false
	}
	if len(data) == 0 {
		return nil, true
	}
	out := slices.Clone(data)
	cipher.NewCBCDecrypter(c.enc, inverted(c.commandMAC)).CryptBlocks(out, out)
	for i := len(out) - 1; i >= 0; i-- {
		if out[i] == padMark {
			return out[:i], true
		}
		if out[i] != 0 {
			break
		}
	}
	return nil, false
}

// mac is the signature of a message: CBC under S-MAC1, the last block under S-MAC2, beginning with the last signature
// of the other side.
func (c *channel) mac(iv [aes.BlockSize]byte, msg []byte) (out [aes.BlockSize]byte) {
	if len(msg)%aes.BlockSize != 0 {
		msg = pad(msg)
	}
	out = iv
	for len(msg) > 0 {
		subtle.XORBytes(out[:], out[:], msg[:aes.BlockSize])
		msg = msg[aes.BlockSize:]
		if len(msg) > 0 {
			c.mac1.Encrypt(out[:], out[:])
		} else {
			c.mac2.Encrypt(out[:], out[:])
		}
	}
	return out
}

// pad appends the mark and zeros up to whole blocks; data itself stays as it is.
func pad(data []byte) []byte {
	n := len(data) + 1
	n += (aes.BlockSize - n%aes.BlockSize) % aes.BlockSize
	out := make([]byte, n)
	copy(out, data)
	out[len(data)] = padMark
	return out
}

func inverted(b [aes.BlockSize]byte) []byte {
	for i := range b {
		b[i] = ^b[i]
	}
	return b[:]
}

// keySet is the command that puts a key into a reader; it travels inside a channel only.
func keySet(k Key) command { return command{cmdKeySet, append([]byte{1, KeyLen}, k[:]...)} }
