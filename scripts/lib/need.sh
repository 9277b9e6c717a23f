# Sourced by the scripts: installs what is missing on Debian or Ubuntu, and says nothing when all is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export CGO_ENABLED="${CGO_ENABLED:-0}"

# need COMMAND PACKAGE... : installs the packages when the command is not found.
missing=()
need() {
  local command=$1; shift
  command -v "$command" >/dev/null 2>&1 || [ -x "/usr/sbin/$command" ] || missing+=("$@")
}
need_file() {
  local pattern=$1; shift
  compgen -G "$pattern" >/dev/null || missing+=("$@")
}
install_missing() {
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || { echo "missing: ${missing[*]} – install them with your system's package manager" >&2; exit 1; }
  local sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
  echo "installing: ${missing[*]}"
  local log; log=$(mktemp)
  { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 ||
    { tail -n 20 "$log" >&2; echo "installing ${missing[*]} failed" >&2; exit 1; }
  rm -f "$log"
  missing=()
}

# Go of at least the version go.mod asks for; Debian's own is older, so it must be on the PATH.
need_go() {
  local want have
  want=$(awk '$1=="go"{print $2}' go.mod)
  export PATH="$PATH:/usr/local/go/bin"
  have=$(go env GOVERSION 2>/dev/null | sed 's/^go//') || have=
  if [ -z "$have" ] || [ "$(printf '%s\n%s\n' "$want" "$have" | sort -V | head -n1)" != "$want" ]; then
    echo "Go $want or newer is needed (found: ${have:-none}); install it and put it on the PATH" >&2; exit 1
  fi
}

# Browser code: from npm by the exact lock file, and the offline check as WebAssembly; bundled once per change of its
# sources.
web() {
  local dir=shared/lib/ui/web stamp=shared/lib/ui/dist/.stamp sum
  sum=$(cat go.sum "$dir"/package-lock.json $(find "$dir" shared/lib/ui/bundle shared/cmd shared/packet shared/ledger shared/footage shared/clock \
    -path '*/node_modules' -prune -o -name '*_test.go' -prune -o -path '*/testdata/*' -prune -o -type f -print | sort) | sha256sum)
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ] && return 0
  echo "bundling the browser code"
  npm ci --prefix "$dir" --silent --no-audit --no-fund
  go run ./shared/lib/ui/bundle
  echo "$sum" >"$stamp"
}
