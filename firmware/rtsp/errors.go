package rtsp

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"

	"campuskeep/firmware/pin"
)

// Trouble says what went wrong between us and a device.
type Trouble string

// The troubles.
const (
	Unreachable Trouble = "unreachable" // nobody answers
	Certificate Trouble = "certificate" // not the pinned one, or none that an authority vouches for
	Refused     Trouble = "refused"     // the password is not right, or there is none
	Challenge   Trouble = "challenge"   // it asks for the password in a way that is not known; none was given
	InClear     Trouble = "clear"       // it takes the password only in clear
	NotFound    Trouble = "not_found"   // it knows no such address
	Transport   Trouble = "transport"   // it does not send this way, over TCP or over UDP
	Busy        Trouble = "busy"        // too many look at it already
	Elsewhere   Trouble = "elsewhere"   // it sends us to another address
	Status      Trouble = "status"      // it answers something else than yes
	Description Trouble = "description" // what it says of itself cannot be read
	Codec       Trouble = "codec"       // it offers pictures, but of no kind that can be recorded
	SoundOnly   Trouble = "sound_only"  // it offers no pictures
	Answer      Trouble = "answer"      // it answers, but not as RTSP is spoken
)

// Error is why a conversation came to nothing.
type Error struct {
	Trouble Trouble
	Status  int    // of RTSP, when it answered
	Detail  string // of Description the line, of Codec the names; empty: none
	Err     error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// explain finds the trouble in an error of a request.
func (c *Client) explain(what string, err error) error {
	e := &Error{Trouble: Unreachable, Err: fmt.Errorf("%s: %w", what, err)}
	var status liberrors.ErrClientBadStatusCode
	var sdp liberrors.ErrClientSDPInvalid
	var unknown *tls.CertificateVerificationError
	switch {
	case errors.Is(err, ErrClear):
		e.Trouble = InClear
	case errors.Is(err, ErrChallenge):
		e.Trouble = Challenge
	case errors.As(err, &status):
		e.Status = int(status.Code)
		e.Trouble = troubleOf(status.Code)
	case errors.As(err, &sdp):
		e.Trouble = Description
		if len(c.described.skipped) > 0 {
			e.Detail = c.described.skipped[0].Line
		}
	case errors.Is(err, pin.ErrElsewhere):
		e.Trouble = Elsewhere
	case errors.As(err, &unknown), errors.Is(err, pin.ErrOther):
		e.Trouble = Certificate
	case errors.As(err, &liberrors.ErrClientServerRequestedTCP{}), errors.As(err, &liberrors.ErrClientServerRequestedUDP{}):
		e.Trouble = Transport
	case isAnswer(err):
		e.Trouble = Answer
	}
	return e
}

func troubleOf(code base.StatusCode) Trouble {
	switch code {
	case base.StatusUnauthorized, base.StatusForbidden:
		return Refused
	case base.StatusNotFound, base.StatusGone:
		return NotFound
	case base.StatusUnsupportedTransport:
		return Transport
	case base.StatusNotEnoughBandwidth, base.StatusServiceUnavailable:
		return Busy
	case base.StatusMovedPermanently, base.StatusFound, base.StatusSeeOther, base.StatusUseProxy:
		return Elsewhere
	}
	return Status
}

// isAnswer says whether the device answered, though not in a way that can be used.
func isAnswer(err error) bool {
	return errors.As(err, &liberrors.ErrClientContentTypeMissing{}) || errors.As(err, &liberrors.ErrClientContentTypeUnsupported{}) ||
		errors.As(err, &liberrors.ErrClientSessionHeaderInvalid{}) || errors.As(err, &liberrors.ErrClientTransportHeaderInvalid{}) ||
		errors.As(err, &liberrors.ErrClientServerPortsNotProvided{}) || errors.As(err, &liberrors.ErrClientTransportHeaderNoInterleavedIDs{}) ||
		errors.As(err, &liberrors.ErrClientTransportHeaderInvalidDelivery{}) || errors.As(err, &liberrors.ErrClientInvalidState{})
}
