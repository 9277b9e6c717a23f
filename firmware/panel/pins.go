package panel

import (
	"fmt"

	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpioreg"
	"periph.io/x/host/v3"
)

// Pin is a GPIO pin as an Output: high is on. It only ever writes the pin; reading one that is an output would
// turn it into an input.
func Pin(p gpio.PinOut) Output { return pin{p} }

type pin struct{ gpio.PinOut }

func (p pin) Set(on bool) error {
	if err := p.Out(gpio.Level(on)); err != nil {
		return fmt.Errorf("set pin %s: %w", p.Name(), err)
	}
	return nil
}

// Names are the board's names of the pins ("GPIO17"); empty where nothing is wired.
type Names struct {
	Green, Amber, Red, Buzzer string
}

// Open finds the pins on this board.
func Open(n Names) (Outputs, error) {
	if _, err := host.Init(); err != nil {
		return Outputs{}, fmt.Errorf("start the GPIO drivers: %w", err)
	}
	var o Outputs
	for _, x := range []struct {
		name string
		to   *Output
	}{{n.Green, &o.Green}, {n.Amber, &o.Amber}, {n.Red, &o.Red}, {n.Buzzer, &o.Buzzer}} {
		if x.name == "" {
			continue
		}
		p := gpioreg.ByName(x.name)
		if p == nil {
			return Outputs{}, fmt.Errorf("this board has no GPIO pin %q", x.name)
		}
		*x.to = Pin(p)
	}
	return o, nil
}
