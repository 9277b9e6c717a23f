package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"campuskeep/shared/account"
	"campuskeep/shared/wire"
)

// hook is where the broker asks us: who is this, may it, and what of this message.
type hook struct {
	mqtt.HookBase
	b *Broker
}

func (h *hook) ID() string { return "campuskeep" }

func (h *hook) Provides(b byte) bool {
	return bytes.Contains([]byte{mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnPublish, mqtt.OnSessionEstablished, mqtt.OnDisconnect}, []byte{b})
}

// may asks the one permission table.
func may(appliance, topic string, publish bool) bool {
	act := account.ActTopicSubscribe
	if publish {
		act = account.ActTopicPublish
	}
	actor := account.Actor{ID: appliance, Roles: []account.Role{account.RoleAppliance}}
	if _, _, err := wire.ParseTopic(topic); err != nil { // also: the appliance's own partition
		return false
	}
	return account.May(actor, act, account.Subject{Appliance: appliance, Topic: topic}, time.Time{}).Allowed
}

// OnConnect refuses what the protocol of the appliances never asks for.
func (h *hook) OnConnect(cl *mqtt.Client, pk packets.Packet) error {
	switch {
	case pk.ProtocolVersion != protocol:
		return fmt.Errorf("protocol level %d", pk.ProtocolVersion)
	case !pk.Connect.Clean:
		return errors.New("a session that outlives its connection")
	case pk.Connect.Keepalive < minKeepalive || pk.Connect.Keepalive > maxKeepalive:
		return fmt.Errorf("keep-alive of %d s", pk.Connect.Keepalive)
	case pk.Connect.WillFlag && !may(pk.Connect.ClientIdentifier, pk.Connect.WillTopic, true):
		return errors.New("a last will on a topic that is not its own")
	}
	return nil
}

// OnConnectAuthenticate binds the client id to the certificate. The user name says nothing.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	c, ok := cl.Net.Conn.(*slotted)
	if !ok {
		return false
	}
	certs := c.ConnectionState().PeerCertificates
	if len(certs) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(h.b.ctx, receiveWait)
	defer cancel()
	id, err := h.b.o.Authenticate(ctx, certs[0])
	if err != nil || id != pk.Connect.ClientIdentifier {
		h.b.o.Log.Warn("connection refused", "certificate", certs[0].Subject.CommonName, "from", cl.Net.Remote, "err", err)
		return false
	}
	return true
}

func (h *hook) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	if cl.Net.Inline {
		return true // the centre itself
	}
	if may(cl.ID, topic, write) {
		return true
	}
	h.b.o.Log.Warn("topic refused", "appliance", cl.ID, "topic", topic, "publish", write)
	return false
}

func (h *hook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) { h.online(cl, true) }

func (h *hook) OnDisconnect(cl *mqtt.Client, _ error, _ bool) {
	if !cl.IsTakenOver() {
		h.online(cl, false)
	}
}

func (h *hook) online(cl *mqtt.Client, online bool) {
	if cl.Net.Inline {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.b.ctx), receiveWait)
	defer cancel()
	if err := h.b.o.Centre.Online(ctx, cl.ID, online); err != nil {
		h.b.o.Log.Error("note connection", "appliance", cl.ID, "online", online, "err", err)
	}
}

// OnPublish deals with a message before the broker confirms it: a slow centre slows the appliance down. What
// cannot be dealt with in time is not confirmed; the connection closes and the appliance comes again.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	appliance, channel, err := wire.ParseTopic(pk.TopicName)
	if err != nil || appliance != cl.ID || pk.FixedHeader.Retain && channel != wire.State {
		cl.Stop(packets.ErrProtocolViolation)
		return pk, packets.ErrRejectPacket
	}
	if channel == wire.State {
		if _, err := wire.DecodeState(pk.Payload); err != nil {
			cl.Stop(packets.ErrPayloadFormatInvalid)
			return pk, packets.ErrRejectPacket
		}
		return pk, nil
	}
	ctx, cancel := context.WithTimeout(h.b.ctx, receiveWait)
	defer cancel()
	ack, err := h.b.o.Centre.Receive(ctx, appliance, channel, pk.Payload)
	if err != nil {
		h.b.o.Log.Error("message not dealt with; closing the connection", "appliance", appliance, "channel", string(channel), "err", err)
		cl.Stop(packets.ErrUnspecifiedError)
		return pk, packets.ErrRejectPacket
	}
	if ack != nil {
		if err := h.b.server.Publish(wire.Topic(appliance, wire.Ack), ack, false, 1); err != nil {
			h.b.o.Log.Error("publish acknowledgement", "appliance", appliance, "err", err)
		}
	}
	return pk, packets.CodeSuccessIgnore
}
