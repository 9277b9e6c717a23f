package frame

import "net/http"

// File sends bytes to be saved.
func (c *Call) File(name, mime string, b []byte) {
	h := c.W.Header()
	h.Set("Content-Type", mime)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	c.Send(http.StatusOK, b)
}
