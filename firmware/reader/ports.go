package reader

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// SerialPorts lists the serial ports that this machine has now, by the names that stay the same when an adapter is
// plugged in again where there are such. dev is "/dev"; tests give another directory.
func SerialPorts(dev string) (out []string) {
	named := map[string]bool{}
	for _, link := range glob(filepath.Join(dev, "serial/by-id/*")) {
		out = append(out, link)
		if to, err := filepath.EvalSymlinks(link); err == nil {
			named[to] = true
		}
	}
	for _, kind := range []string{"ttyUSB*", "ttyACM*", "ttyAMA*", "ttyS*", "ttymxc*", "ttySC*", "ttyTHS*"} {
		for _, p := range glob(filepath.Join(dev, kind)) {
			if !named[p] && (!strings.HasPrefix(kind, "ttyS*") || present(p)) {
				out = append(out, p)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func glob(pattern string) []string {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return nil // only of a bad pattern
	}
	return found
}

// present leaves out the ports of the PC's first kind that the kernel lists without a chip behind them.
func present(port string) bool {
	b, err := os.ReadFile(filepath.Join("/sys/class/tty", filepath.Base(port), "type"))
	return err != nil || strings.TrimSpace(string(b)) != "0"
}

// Present says whether a port is there now.
func Present(port string) bool {
	_, err := os.Stat(port)
	return err == nil
}
