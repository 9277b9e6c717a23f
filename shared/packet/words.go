package packet

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
)

// The secret of a package that was made for nobody's key is 32 bytes. People get it as 24 words: each word is one of 64
// characters followed by one of 32, so that any input method types it, and the last eight bits are a checksum. The same
// secret in the form of age is what the QR code holds.

// Word is one word of a secret, with how it is read.
type Word struct{ Text, Pinyin string }

// SecretSize is the size of a secret, SecretWordCount how many words it has.
const (
	SecretSize      = 32
	SecretWordCount = 24
)

var (
	firstCharacters = strings.Fields("青qing 红hong 白bai 黑hei 金jin 银yin 铜tong 铁tie 石shi 木mu 竹zhu 松song 梅mei 兰lan 菊ju 荷he " +
		"春chun 夏xia 秋qiu 冬dong 南nan 北bei 西xi 高gao 低di 远yuan 长chang 短duan 大da 小xiao 新xin 老lao " +
		"明ming 冷leng 暖nuan 甜tian 苦ku 香xiang 干gan 快kuai 慢man 重zhong 早zao 晚wan 方fang 平ping 山shan 海hai " +
		"江jiang 湖hu 云yun 雨yu 雪xue 风feng 星xing 月yue 日ri 花hua 草cao 叶ye 布bu 灯deng 琴qin 船chuan")
	secondCharacters = strings.Fields("门men 桥qiao 路lu 车che 楼lou 窗chuang 桌zhuo 椅yi 书shu 笔bi 纸zhi 墨mo 画hua 钟zhong 鼓gu 笛di " +
		"伞san 帽mao 鞋xie 包bao 碗wan 盘pan 杯bei 茶cha 饭fan 糖tang 鱼yu 马ma 牛niu 羊yang 鸟niao 狗gou")
)

func secretWord(n int) Word {
	a, b := []rune(firstCharacters[n>>5]), []rune(secondCharacters[n&31])
	return Word{string([]rune{a[0], b[0]}), string(a[1:]) + string(b[1:])}
}

var secretWordNumbers = func() map[string]int {
	m := map[string]int{}
	for n := range len(firstCharacters) * len(secondCharacters) {
		w := secretWord(n)
		m[w.Text], m[w.Pinyin] = n, n
	}
	return m
}()

// SecretWords writes a secret in words.
func SecretWords(secret [SecretSize]byte) []Word {
	sum := sha256.Sum256(secret[:])
	bits, n := append(secret[:], sum[0]), 0
	out := make([]Word, SecretWordCount)
	for i := range out {
		v := 0
		for range 11 {
			v = v<<1 | int(bits[n>>3]>>(7-n&7)&1)
			n++
		}
		out[i] = secretWord(v)
	}
	return out
}

// WordError says which word of a secret is none.
type WordError struct{ Place int }

func (e *WordError) Error() string { return fmt.Sprintf("word %d is not one of the list", e.Place) }

// Errors of secrets in words.
var (
	ErrWordCount = fmt.Errorf("a secret has %d words", SecretWordCount)
	ErrWordSum   = errors.New("the words are not those of a secret: one is another than on the sheet, or two have changed places")
)

// ParseSecretWords reads a secret in words, or in pinyin without tones; numbers and punctuation between them do not
// count.
func ParseSecretWords(text string) (secret [SecretSize]byte, err error) {
	fields := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !(r >= 'a' && r <= 'z') && !(r >= 0x4e00 && r <= 0x9fff)
	})
	var words []string
	for _, f := range fields { // characters may be written without spaces
		if r := []rune(f); r[0] >= 0x4e00 {
			for ; len(r) >= 2; r = r[2:] {
				words = append(words, string(r[:2]))
			}
			if len(r) == 0 {
				continue
			}
			f = string(r)
		}
		words = append(words, f)
	}
	if len(words) != SecretWordCount {
		return secret, ErrWordCount
	}
	var bits [SecretSize + 1]byte
	n := 0
	for i, w := range words {
		v, ok := secretWordNumbers[w]
		if !ok {
			return secret, &WordError{i + 1}
		}
		for b := 10; b >= 0; b-- {
			bits[n>>3] |= byte(v>>b&1) << (7 - n&7)
			n++
		}
	}
	copy(secret[:], bits[:])
	if sum := sha256.Sum256(secret[:]); sum[0] != bits[SecretSize] {
		return [SecretSize]byte{}, ErrWordSum
	}
	return secret, nil
}

// AgeIdentity writes a secret as an identity of age (X25519): Bech32 as in BIP 173, in capitals.
func AgeIdentity(secret [SecretSize]byte) string {
	const letters, prefix = "qpzry9x8gf2tvdw0s3jn54khce6mua7l", "age-secret-key-"
	var five []byte
	acc, bits := 0, 0
	for _, b := range secret {
		acc, bits = acc<<8|int(b), bits+8
		for bits >= 5 {
			bits -= 5
			five = append(five, byte(acc>>bits&31))
		}
	}
	five = append(five, byte(acc<<(5-bits)&31))
	values := make([]byte, 0, 128)
	for i := range len(prefix) {
		values = append(values, prefix[i]>>5)
	}
	values = append(values, 0)
	for i := range len(prefix) {
		values = append(values, prefix[i]&31)
	}
	values = append(append(values, five...), 0, 0, 0, 0, 0, 0)
	sum := uint32(1)
	for _, v := range values {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	sum ^= 1
	for i := range 6 {
		five = append(five, byte(sum>>(5*(5-i))&31))
	}
	out := prefix + "1"
	for _, v := range five {
		out += letters[v : v+1]
	}
	return strings.ToUpper(out)
}
