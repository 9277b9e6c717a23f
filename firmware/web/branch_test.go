package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Covers F13: a log that was rolled back is red on the first page of those who may search it, with the numbers that
// vanished, until one of them closes it with a word.
func TestARollBackOfTheLogIsRedUntilClosed(t *testing.T) {
	h := newEnv(t)
	zheng, liang := h.as("zheng"), h.as("liang")
	if body := zheng.get("/").Body; strings.Contains(body, "回退") {
		t.Fatal("red before anything was rolled back")
	}
	fork := h.store.Size()
	h.must(h.store.SetEpoch(t.Context(), 2, fork, fork+54, "restored"))
	seq := h.store.Size() - 1
	at := fmt.Sprintf("/log/%d", seq)
	want := fmt.Sprintf("第%d至%d条缺失", fork, fork+53)
	page := zheng.get("/")
	for _, w := range []string{"日志被回退，" + want, at + "#close", "日志曾回退"} {
		if !strings.Contains(page.Body, w) {
			t.Errorf("the first page does not say %q", w)
		}
	}
	if page := liang.get("/"); strings.Contains(page.Body, "日志被回退") || !strings.Contains(page.Body, "日志曾回退") {
		t.Errorf("who may not search the log:\n%s", page.text())
	}
	if page := zheng.get(at); !strings.Contains(page.Body, want) || !strings.Contains(page.Body, "填写并关闭") {
		t.Errorf("the entry:\n%s", page.text())
	}
	if r := liang.post(at+"/close", url.Values{"note": {"恢复了备份"}}); r.status != http.StatusForbidden {
		t.Errorf("closed by who may not search the log: %d", r.status)
	}
	if r := zheng.post(at+"/close", url.Values{"note": {" "}}); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.Body, "aria-invalid") {
		t.Errorf("without a word: %d\n%s", r.status, r.text())
	}
	if r := zheng.post(fmt.Sprintf("/log/%d/close", seq-1), url.Values{"note": {"另一条"}}); r.status != http.StatusNotFound {
		t.Errorf("an entry that is no roll-back: %d", r.status)
	}
	if r := zheng.post(at+"/close", url.Values{"note": {"换盘后恢复了昨天的备份"}}); r.status != http.StatusSeeOther {
		t.Fatalf("%d\n%s", r.status, r.text())
	}
	if r := zheng.post(at+"/close", url.Values{"note": {"再一次"}}); r.status != http.StatusNotFound || h.count("sync.branchclosed") != 1 {
		t.Errorf("closed twice: %d", r.status)
	}
	if body := zheng.get("/").Body; strings.Contains(body, "回退，") || strings.Contains(body, "日志曾回退") {
		t.Error("red after it was closed")
	}
	if page := zheng.get(at); !strings.Contains(page.Body, "已处理") || strings.Contains(page.Body, "填写并关闭") {
		t.Errorf("the closed entry:\n%s", page.text())
	}
}
