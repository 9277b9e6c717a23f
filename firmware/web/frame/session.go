package frame

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"campuskeep/firmware/viewing"
	"campuskeep/shared/account"
	"campuskeep/shared/shift"
)

// Cookie sets the session cookie; an empty token takes it away.
func (c *Call) Cookie(token string) {
	k := &http.Cookie{Name: CookieName, Value: token, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if token == "" {
		k.MaxAge = -1
	}
	// No expiry: the browser forgets it when it closes, and the session ends by itself at its time.
	http.SetCookie(c.W, k)
}

// OverShift ends somebody's shift, and what they watch live with it.
func (o *Server) OverShift(ctx context.Context, by account.Who, why shift.End) error {
	if err := o.d.Usage.EndShift(ctx, by, why); err != nil {
		return err
	}
	return o.d.Viewings.EndLive(ctx, by.ID, viewing.ShiftEnded)
}

// DayLink is the page of a camera's day, at an instant.
func (o *Server) DayLink(camera string, at time.Time) string {
	at = at.In(o.d.Zone)
	return "/footage?" + url.Values{"camera": {camera}, "day": {at.Format(time.DateOnly)}, "t": {at.Format("15:04")}}.Encode() + "#watch"
}
