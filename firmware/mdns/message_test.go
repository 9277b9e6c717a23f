package mdns

import (
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

var (
	here  = netip.MustParseAddr("192.168.1.10")
	here6 = netip.MustParseAddr("fd00::10")
	there = netip.MustParseAddr("192.168.1.77")
)

func ours(addrs ...netip.Addr) record { return record{dnsmessage.MustNewName("ck-0417.local."), addrs} }

func query(name string, types ...dnsmessage.Type) *dnsmessage.Message {
	m := &dnsmessage.Message{Header: dnsmessage.Header{ID: 7}}
	for _, t := range types {
		m.Questions = append(m.Questions, dnsmessage.Question{Name: dnsmessage.MustNewName(name), Type: t, Class: dnsmessage.ClassINET})
	}
	return m
}

// replied is what a question is answered, unpacked again; nil: nothing.
func replied(t *testing.T, r record, m *dnsmessage.Message, legacy bool) *dnsmessage.Message {
	t.Helper()
	q, ok := r.asked(m, legacy)
	if !ok {
		return nil
	}
	b, err := r.answer(m, q)
	if err != nil {
		t.Fatal(err)
	}
	if b == nil {
		return nil
	}
	var out dnsmessage.Message
	if err := out.Unpack(b); err != nil {
		t.Fatal(err)
	}
	return &out
}

func TestOnlyTheNameIsAnswered(t *testing.T) {
	r := ours(here)
	for name, m := range map[string]*dnsmessage.Message{
		"another name":   query("ck-0418.local.", dnsmessage.TypeA),
		"a name below":   query("x.ck-0417.local.", dnsmessage.TypeA),
		"another record": query("ck-0417.local.", dnsmessage.TypeTXT),
		"no question":    {},
	} {
		if got := replied(t, r, m, false); got != nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	got := replied(t, r, query("CK-0417.Local.", dnsmessage.TypeA), false)
	if got == nil || !slices.Equal(r.addresses(got.Answers, ttl), []netip.Addr{here}) || got.ID != 0 || len(got.Questions) != 0 || got.Answers[0].Header.Class != dnsmessage.ClassINET|flush {
		t.Errorf("%+v", got)
	}
}

// Who asks for a family that the page does not listen in gets the answer at once that there is none.
func TestAFamilyWithoutAnAddressIsDenied(t *testing.T) {
	got := replied(t, ours(here), query("ck-0417.local.", dnsmessage.TypeAAAA), false)
	if got == nil || len(got.Answers) != 1 || got.Answers[0].Header.Type != typeNSEC {
		t.Fatalf("%+v", got)
	}
	want := "\x07ck-0417\x05local\x00\x00\x04\x40\x00\x00\x00"
	if data := string(got.Answers[0].Body.(*dnsmessage.UnknownResource).Data); data != want {
		t.Errorf("%q, want %q", data, want)
	}
	if got := replied(t, ours(here, here6), query("ck-0417.local.", dnsmessage.TypeALL), false); got == nil || len(got.Answers) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestAResolverOfAnotherPortGetsAnOrdinaryAnswer(t *testing.T) {
	got := replied(t, ours(here), query("ck-0417.local.", dnsmessage.TypeA), true)
	if got == nil || got.ID != 7 || len(got.Questions) != 1 || got.Answers[0].Header.TTL > legacyTTL || got.Answers[0].Header.Class != dnsmessage.ClassINET {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsKnownIsNotRepeated(t *testing.T) {
	r := ours(here)
	m := query("ck-0417.local.", dnsmessage.TypeA)
	m.Answers = []dnsmessage.Resource{r.resource(here, dnsmessage.ClassINET, ttl)}
	if got := replied(t, r, m, false); got != nil {
		t.Errorf("%+v", got)
	}
	m.Answers[0].Header.TTL = ttl/2 - 1 // about to be forgotten
	if got := replied(t, r, m, false); got == nil {
		t.Error("not answered")
	}
}

// Two machines of one name are a conflict; another responder of this machine is none.
func TestAConflict(t *testing.T) {
	r := ours(here)
	for _, c := range []struct {
		name    string
		says    netip.Addr
		seconds uint32
		want    bool
	}{{"another machine", there, ttl, true}, {"it takes the name back", there, 0, false}, {"ourselves", here, ttl, false}, {"our other address", here6, ttl, false}} {
		m := &dnsmessage.Message{Answers: []dnsmessage.Resource{r.resource(c.says, dnsmessage.ClassINET|flush, c.seconds)}}
		if got := r.other(m, []netip.Addr{here, here6}); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	for name, c := range map[string]struct {
		theirs netip.Addr
		want   bool
	}{"theirs comes later": {there, true}, "ours comes later": {netip.MustParseAddr("192.168.1.9"), false}, "our own probe": {here, false}} {
		m := &dnsmessage.Message{Authorities: []dnsmessage.Resource{r.resource(c.theirs, dnsmessage.ClassINET, ttl)}}
		if got := r.yields(m, []netip.Addr{here}); got != c.want {
			t.Errorf("%s: yields %v", name, got)
		}
	}
}

// Whatever comes from the network, nothing but our own addresses under our own name goes out.
func FuzzMessage(f *testing.F) {
	for _, m := range []*dnsmessage.Message{query("ck-0417.local.", dnsmessage.TypeA), query("ck-0417.local.", dnsmessage.TypeALL, dnsmessage.TypeAAAA)} {
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false)
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, legacy bool) {
		var m dnsmessage.Message
		if m.Unpack(b) != nil {
			return
		}
		r := ours(here, here6)
		_ = r.other(&m, r.addrs)
		_ = r.yields(&m, r.addrs)
		got := replied(t, r, &m, legacy)
		if got == nil {
			return
		}
		for _, a := range got.Answers {
			if !r.of(a.Header.Name) {
				t.Errorf("answers for %s", a.Header.Name)
			}
		}
		if out := r.addresses(got.Answers, 0); slices.ContainsFunc(out, func(a netip.Addr) bool { return a != here && a != here6 }) {
			t.Errorf("gives %v", out)
		}
	})
}
