package web

import (
	"strings"
	"testing"

	"campuskeep/firmware/web/frame"
)

// A hold in force whose keys cannot be opened is named on the list and on the first page of those who may see holds.
// Covers F5.
func TestAHoldWithDamagedKeysIsNamed(t *testing.T) {
	h := newEnv(t)
	id := h.as("fan").apply(form("北侧围墙", at(18, 7, 0), at(18, 8, 0)))
	hold := h.holdOf(id)
	zheng := h.as("zheng")
	if body := zheng.get("/holds").Body; strings.Contains(body, "密钥损坏") {
		t.Error("named while its keys are whole")
	}
	h.packages.retention.Rotten = []string{hold.ID}
	if body := zheng.get("/holds").Body; !strings.Contains(body, "密钥损坏") || !strings.Contains(body, `id="h-`+hold.ID+`"`) {
		t.Error("not named on the list")
	}
	today := zheng.get("/").Body
	link := strings.ReplaceAll(frame.HoldLink(hold), "&", "&amp;")
	if !strings.Contains(today, "密钥损坏") || !strings.Contains(today, link) {
		t.Errorf("not named on the first page (%s)", link)
	}
	if strings.Contains(h.as("luo").get("/").Body, "密钥损坏") {
		t.Error("somebody who may not see holds learns of it")
	}
}
