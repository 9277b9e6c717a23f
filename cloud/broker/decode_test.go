package broker_test

import (
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

// FuzzDecode runs the library's decoders as the broker uses them: CONNECT at whatever level the client claims, and behind
// it every other packet at the one level that is let in. None may panic.
func FuzzDecode(f *testing.F) {
	f.Add(byte(packets.Connect), []byte{0, 4, 'M', 'Q', 'T', 'T', 5, 2, 0, 60, 0, 0, 1, 'a'})
	f.Add(byte(packets.Connect), []byte{0, 4, 'M', 'Q', 'T', 'T', 4, 0xee, 0, 60, 0, 1, 'a', 0, 1, 'w', 0, 1, 'm', 0, 1, 'u', 0, 1, 'p'})
	f.Add(byte(packets.Publish), []byte{0, 3, 'a', '/', 'b', 0, 7, 'x'})
	f.Add(byte(packets.Subscribe), []byte{0, 1, 0, 3, 'a', '/', 'b'})
	f.Add(byte(packets.Unsubscribe), []byte{0, 1, 0, 3, 'a', '/', 'b'})
	f.Fuzz(func(t *testing.T, kind byte, body []byte) {
		pk := packets.Packet{ProtocolVersion: 4, FixedHeader: packets.FixedHeader{Type: kind & 15, Qos: kind >> 4 & 3, Remaining: len(body)}}
		decode := map[byte]func([]byte) error{packets.Connect: pk.ConnectDecode, packets.Disconnect: pk.DisconnectDecode, packets.Connack: pk.ConnackDecode,
			packets.Publish: pk.PublishDecode, packets.Puback: pk.PubackDecode, packets.Pubrec: pk.PubrecDecode, packets.Pubrel: pk.PubrelDecode,
			packets.Pubcomp: pk.PubcompDecode, packets.Subscribe: pk.SubscribeDecode, packets.Suback: pk.SubackDecode,
			packets.Unsubscribe: pk.UnsubscribeDecode, packets.Unsuback: pk.UnsubackDecode, packets.Auth: pk.AuthDecode}[pk.FixedHeader.Type]
		if decode != nil {
			_ = decode(body) // an error ends the connection
		}
	})
}
