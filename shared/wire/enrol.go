package wire

import (
	"bytes"
	"encoding/json"
	"io"
)

// Enrolment goes over HTTPS, before there is a certificate to speak MQTT with. The appliance knows the fingerprint
// of the centre's authority and nothing else.
const (
	EnrolPath = "/v1/enrol"
	RenewPath = "/v1/renew"
	TimePath  = "/v1/time" // ?nonce=<32 hex digits>; answers with a signed statement of the time
)

// MaxEnrol is the most that a request or an answer of enrolment may hold.
const MaxEnrol = 32 << 10

// EnrolRequest asks for the first certificate.
type EnrolRequest struct {
	V      int    `json:"v"`
	ID     string `json:"id"`
	Token  string `json:"token"`
	CSR    []byte `json:"csr"`     // PKCS #10, DER; the common name is the id
	LogKey string `json:"log_key"` // of the appliance's log, in note form
}

// RenewRequest asks for the next certificate for the same key; the signature in the request proves its
// possession, so that it works after the old certificate has expired.
type RenewRequest struct {
	V   int    `json:"v"`
	ID  string `json:"id"`
	CSR []byte `json:"csr"`
}

// EnrolReply is the answer to both.
type EnrolReply struct {
	V           int    `json:"v"`
	Certificate []byte `json:"certificate"` // DER
	Authority   []byte `json:"authority"`   // DER of the certificate that signed it
	Broker      string `json:"broker"`      // host:port, TLS
	Centre      string `json:"centre"`      // verifier key of the centre's statements, in note form
	Cosigner    string `json:"cosigner"`    // verifier key of its cosignatures
}

// EnrolError says why not.
type EnrolError struct {
	Code string `json:"error"` // one of the Enrol… codes
}

// Codes of EnrolError.
const (
	EnrolMalformed = "malformed" // not a request of this version
	EnrolToken     = "token"     // wrong, spent or expired token, or another appliance's
	EnrolCSR       = "csr"       // the certificate request does not verify or does not fit
	EnrolKey       = "key"       // another key than the enrolled one
	EnrolDenied    = "denied"    // this appliance is refused
	EnrolBusy      = "busy"      // try again later
)

func (e EnrolError) Error() string { return "the centre refuses: " + e.Code }

// DecodeStrict reads one JSON value of known fields and nothing behind it.
func DecodeStrict(r io.Reader, into any) error {
	b, err := io.ReadAll(io.LimitReader(r, MaxEnrol+1))
	if err != nil {
		return err
	}
	if len(b) > MaxEnrol {
		return malformed("more than %d bytes", MaxEnrol)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return malformed("%v", err)
	}
	if d.More() {
		return malformed("more than one value")
	}
	return nil
}
