// Command campuskeep-verify checks a package of footage, a proof, a deletion certificate or an exported log without a network and without anything else of
// ours. It owns nothing and writes only to its outputs. It must never call a file valid that no key known
// otherwise has confirmed: what a file says about itself shows only that it is whole.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"filippo.io/age"

	"campuskeep/shared/cmd/internal/check"
	"campuskeep/shared/ledger"
	"campuskeep/shared/packet"
)

// Exit codes.
const (
	exitValid       = 0 // whole, and confirmed by the given key
	exitRefused     = 1
	exitUsage       = 2
	exitUnconfirmed = 3 // whole, but no key was given
)

const usage = `用法 usage: campuskeep-verify [-key <密钥 verifier key>] [-identity <密码或私钥 words or key>] <package.age | proof.txt | certificate.txt | log-export>

  -key  教育局中心或一体机的公钥（“名称+编号+base64”），请从中心或纸质登记上取得，不要取自被验证的文件。
        public key of the centre or of the appliance (name+id+base64), known from the centre or from the printed
        record, not from the file that is checked.
  -identity  提取包的密码（24 个词，可写拼音）、AGE-SECRET-KEY-1…，或存放它们或 ssh 私钥的文件。
        the secret of a package (24 words, pinyin too), an AGE-SECRET-KEY-1…, or a file with either or with a private key of ssh.

退出码 exit codes: 0 有效 valid, 1 拒绝 refused, 2 用法错误 usage, 3 完整但来源未确认 whole, but origin unconfirmed
`

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, out, errOut io.Writer) int {
	flags := flag.NewFlagSet("campuskeep-verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	key := flags.String("key", "", "")
	identity := flags.String("identity", "", "")
	if err := flags.Parse(permuted(args)); err != nil || flags.NArg() != 1 {
		fmt.Fprint(errOut, usage)
		return exitUsage
	}
	trusted, err := check.Keys(*key)
	if err != nil {
		fmt.Fprintf(errOut, "密钥格式错误，应为“名称+编号+base64”。\nThe key is malformed: want name+id+base64.\n\n%s", usage)
		return exitUsage
	}
	report, err := checkFile(flags.Arg(0), *identity, trusted)
	if err != nil {
		fmt.Fprint(errOut, check.Refusal(err))
		return exitRefused
	}
	if _, err := io.WriteString(out, report.Text); err != nil {
		fmt.Fprintln(errOut, err)
		return exitRefused
	}
	if !report.Trusted {
		return exitUnconfirmed
	}
	return exitValid
}

func checkFile(path, identity string, trusted []ledger.Verifier) (r check.Report, err error) {
	f, err := os.Open(path)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return r, err
	}
	return check.File(f, info.Size(), func() ([]age.Identity, error) { return identities(identity) }, trusted, nil)
}

const maxIdentity = 1 << 20

// identities reads what opens a package: it is given itself, or the name of a file that holds it.
func identities(given string) ([]age.Identity, error) {
	list, err := check.Identities(given)
	if err == nil || !errors.Is(err, packet.ErrWordCount) {
		return list, err // it is no name of a file
	}
	f, ferr := os.Open(given)
	if ferr != nil {
		return nil, fmt.Errorf("%w: %w", check.ErrIdentity, ferr)
	}
	b, ferr := io.ReadAll(io.LimitReader(f, maxIdentity))
	if ferr = errors.Join(ferr, f.Close()); ferr != nil {
		return nil, fmt.Errorf("%w: %w", check.ErrIdentity, ferr)
	}
	return check.Identities(string(b))
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
