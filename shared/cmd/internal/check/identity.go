package check

import (
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"

	"campuskeep/shared/packet"
)

// ErrIdentity: the package is sealed and what would open it was not given, or opens something else.
var ErrIdentity = errors.New("no identity opens it")

// Identities reads what opens a package: the words of a secret or their pinyin, identities of age, or a private key of
// ssh.
func Identities(text string) ([]age.Identity, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, ErrIdentity
	}
	refused := func(err error) error { return fmt.Errorf("%w: %w", ErrIdentity, err) }
	if strings.HasPrefix(text, "-----BEGIN") {
		id, err := agessh.ParseIdentity([]byte(text + "\n"))
		if err != nil {
			return nil, refused(err)
		}
		return []age.Identity{id}, nil
	}
	// First: between its digits such a key can have as many pieces as a secret has words.
	if upper := strings.ToUpper(text); strings.HasPrefix(upper, "AGE-SECRET-KEY-1") && !strings.ContainsAny(text, "\r\n") {
		text = upper // typed in small letters, too
	} else if !strings.Contains(upper, "AGE-SECRET-KEY-1") {
		secret, err := packet.ParseSecretWords(text)
		if word, ok := errors.AsType[*packet.WordError](err); ok {
			return nil, refused(fmt.Errorf("第 %d 个词不在词表中: %w", word.Place, err))
		}
		if err != nil {
			return nil, refused(fmt.Errorf("密码应为 24 个词，有词写错、缺少或前后颠倒: %w", err))
		}
		text = packet.AgeIdentity(secret)
	}
	list, err := age.ParseIdentities(strings.NewReader(text))
	if err != nil {
		return nil, refused(err)
	}
	return list, nil
}
