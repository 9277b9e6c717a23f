package settings

import (
	"net/http"
)

func (o *Pages) apiSettings(c *call) error { return c.JSON(http.StatusOK, o.d.Site.Settings()) }
