package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"

	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
)

const (
	sealedTitle  = "age-encryption.org/v1\n"
	archiveTitle = "PK\x03\x04"
	maxIdentity  = 1 << 20
)

// errIdentity: the package is sealed and what would open it was not given, or opens something else.
var errIdentity = errors.New("no identity opens it")

// identities reads what opens a package: a secret in words, an identity of age, or a file with either, or with a private
// key of ssh.
func identities(given string) ([]age.Identity, error) {
	given = strings.TrimSpace(given)
	if given == "" {
		return nil, errIdentity
	}
	if secret, err := packet.ParseSecretWords(given); err == nil {
		given = packet.AgeIdentity(secret)
	} else if word, ok := errors.AsType[*packet.WordError](err); ok || errors.Is(err, packet.ErrWordSum) {
		return nil, fmt.Errorf("%w: %w", errIdentity, errors.Join(err, wordFault(word)))
	}
	if strings.HasPrefix(strings.ToUpper(given), "AGE-SECRET-KEY-1") {
		id, err := age.ParseX25519Identity(strings.ToUpper(given))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errIdentity, err)
		}
		return []age.Identity{id}, nil
	}
	f, err := os.Open(given)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errIdentity, err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxIdentity))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%w: %w", errIdentity, err)
	}
	if bytes.HasPrefix(b, []byte("-----BEGIN")) {
		id, err := agessh.ParseIdentity(b)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errIdentity, err)
		}
		return []age.Identity{id}, nil
	}
	if secret, err := packet.ParseSecretWords(string(b)); err == nil {
		return identities(packet.AgeIdentity(secret))
	}
	list, err := age.ParseIdentities(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errIdentity, err)
	}
	return list, nil
}

func wordFault(w *packet.WordError) error {
	if w == nil {
		return nil
	}
	return fmt.Errorf("第 %d 个词不在词表中", w.Place)
}

// checkPackage verifies a sealed package, or an opened one.
func checkPackage(f io.ReaderAt, size int64, sealed bool, given string, trusted []ledger.Verifier) (r report, err error) {
	plain, length := f, size
	if sealed {
		list, err := identities(given)
		if err != nil {
			return r, err
		}
		if plain, length, err = age.DecryptReaderAt(f, size, list...); err != nil {
			if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
				return r, fmt.Errorf("%w: %w", errIdentity, err)
			}
			return r, err
		}
	}
	v, err := packet.VerifyPackage(plain, length, nil, trusted...)
	if err != nil {
		return r, err
	}
	return report{packageText(v), v.Trusted}, nil
}

func packageText(v packet.PackageVerdict) string {
	var b bytes.Buffer
	headText(&b, v.Head, "这个提取包", "this package")
	m := v.Manifest
	zone := time.FixedZone("", m.Zone*60)
	at := func(t time.Time) string { return t.In(zone).Format("2006-01-02 15:04:05") }
	row := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "%s %s\n", label, printable(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintln(&b)
	row("编号 package     ", "%s（%s）", m.Number, m.Extraction)
	row("学校 school      ", "%s", m.School)
	row("依据 notice      ", "%s，%s", m.Notice, m.FormNumber)
	row("操作人 operator  ", "%s（%s）", m.Operator.Name, m.Operator.ID)
	row("监督人 supervisor", "%s（%s）", m.Supervisor.Name, m.Supervisor.ID)
	row("提取 extracted   ", "%s", at(m.Began))
	for _, r := range m.Recipients {
		row("接收人 recipient ", "%s %s %s", r.Name, r.Unit, r.Document)
	}
	row("归还或销毁 by    ", "%s", m.UseUntil)
	names := map[string]string{}
	for _, c := range m.Cameras {
		names[c.ID] = c.Name + " " + c.Place
	}
	for _, s := range m.Spans {
		row("时段 span        ", "%s %s – %s", names[s.Camera], at(s.Span.From), at(s.Span.To))
		for _, g := range s.Gaps {
			row("  缺 gap         ", "%s – %s %s", at(g.Span.From), at(g.Span.To), g.Cause)
		}
	}
	for _, x := range m.Videos {
		row("录像 video       ", "%s %s – %s, %d 帧 pictures", x.Path, at(x.Span.From), at(x.Span.To), x.Pictures)
	}
	fmt.Fprintf(&b, "\n录像的 %d 段与录制时写入日志的校验值一致。 %d of %d recorded pieces have the hash that the log bound when they were recorded.\n", v.Bound, v.Bound, v.Segments)
	if v.Late > 0 {
		fmt.Fprintf(&b, "另有 %d 段仅由提取记录绑定，不能证明提取之前未被更换。 %d pieces are bound by the extraction alone: nothing shows what they were before it.\n", v.Late, v.Late)
	}
	fmt.Fprint(&b, "不能证明：画面所示是否真实、摄像机自身的时钟是否准确（见清单）、时段以外发生了什么。\nNot shown: that what the camera saw was real, that its own clock was right (see the manifest), what happened outside the spans.\n")
	return b.String()
}

// permuted puts flags before the file, so that they may follow it.
func permuted(args []string) []string {
	var flags, files []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		if !strings.HasPrefix(a, "-") || a == "-" {
			files = append(files, a)
			continue
		}
		flags = append(flags, a)
		if !strings.Contains(a, "=") && i+1 < len(args) {
			i++
			flags = append(flags, args[i])
		}
	}
	return slices.Concat(flags, files)
}
