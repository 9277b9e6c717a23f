package e2e

import (
	"bytes"
	"context"
	"encoding/base32"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/xuri/excelize/v2"

	"campuskeep/scripts/sim/process"
	readersim "campuskeep/scripts/sim/reader"
	"campuskeep/shared/login"
)

// newcomer is a school that has unpacked its box: the real program on an empty directory, one reader on a line.
type newcomer struct {
	*env
	first string // one-time code for the first account, as the installer's command prints it
	codes map[string]*factor
}

// factor is the second factor on somebody's phone.
type factor struct {
	secret []byte
	used   int64
}

// now is the next code that counts: each counts once, and the next counts already.
func (f *factor) now() string {
	step := max(login.Step(time.Now()), f.used+1)
	f.used = step
	return login.Code(f.secret, step)
}

// An empty box is put to use: from the installer's command to a card at the gate and the class teacher's roll, with
// nothing but pages and spreadsheets. Covers S3, S6, S14, M1.
func TestAnEmptyBoxIsPutToUse(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Chromium and builds the appliance")
	}
	began := time.Now()
	h := unpack(t)
	t.Logf("built and started in %s", time.Since(began).Round(time.Millisecond))
	began = time.Now()
	admin := h.firstAccount(t)
	passwords := h.addStaff(t, admin)
	head := h.enters(t, "zheng", passwords["zheng"], true)
	h.fillSchool(t, head)
	h.addReader(t, admin)
	h.firstTap(t, head, h.enters(t, "luo", passwords["luo"], false))
	if took := time.Since(began); took > time.Minute {
		t.Errorf("from the first page to the first card took %s", took.Round(time.Second))
	} else {
		t.Logf("from the first page to the first card in %s", took.Round(time.Millisecond))
	}
}

// unpack builds the program, prepares the box with its own command and starts it.
func unpack(t *testing.T) *newcomer {
	h := &newcomer{env: &env{dir: t.TempDir(), beeps: make(chan readersim.Event, 8)}, codes: map[string]*factor{}}
	var err error
	if h.zone, err = time.LoadLocation("Asia/Shanghai"); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", h.dir+"/", "campuskeep/firmware/cmd/campuskeepd")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	if h.reader, err = readersim.New(readersim.Options{OnEvent: h.heard}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var reading sync.WaitGroup
	t.Cleanup(func() { cancel(); reading.Wait() })
	reading.Go(func() {
		if err := h.reader.Run(ctx); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
	listen := freePort(t)
	config := filepath.Join(h.dir, "campuskeep.toml")
	text := fmt.Sprintf("[appliance]\nid = \"ck-new\"\nschool = \"青榆实验学校\"\ndata = %q\n[office]\nlisten = %q\nnames = [\"127.0.0.1\"]\nmdns = false\n[clock]\nsources = [\"host\", \"nvr\"]\n[[bus]]\nport = %q\nbaud = 115200\n",
		filepath.Join(h.dir, "data"), listen, h.reader.Path())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := process.Once(t.Context(), h.dir, "campuskeepd", "init", "-c", config)
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`[0-9A-Z]{4}(-[0-9A-Z]{4})+`).FindString(out)
	if code == "" {
		t.Fatalf("init prints no code:\n%s", out)
	}
	h.first = code
	box, err := process.Start(h.dir, h.dir, "box", "campuskeepd", "run", "-c", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Stop(patience); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the appliance said:\n%s", process.Tail(box.Log, 40))
		}
	})
	h.url = "https://" + listen
	if err := box.Ready(t.Context(), process.Answers(h.url+"/healthz")); err != nil {
		t.Fatal(err)
	}
	h.browser = startBrowser(t, "")
	return h
}

// saves presses a form's button and goes on when the page that follows shows no fault.
func (b *tab) saves(button string) {
	b.t.Helper()
	b.follow(button)
	if eval[bool](b, "!!document.querySelector('main .err, main .errsum a, main [role=alert]')") {
		b.t.Fatalf("not saved, at %s:\n%s", b.where(), b.text())
	}
}

// firstAccount makes the administrator by the installer's code, and the administrator's second factor.
func (h *newcomer) firstAccount(t *testing.T) *tab {
	b := h.tab(t, "")
	b.open("/")
	b.follow("a[href='/setup']")
	b.fill("#f-code", h.first)
	b.fill("#f-name", "梁牧")
	b.fill("#f-login", "liang")
	b.fill("#f-staff_no", "2019-001")
	b.fill("#f-unit", "信息中心")
	b.fill("#f-password", newPassword)
	b.fill("#f-again", newPassword)
	b.saves("form[action='/setup'] button")
	b.enter("liang", newPassword)
	h.takesFactor(b, "liang")
	return b
}

const newPassword = "一句谁也猜不到的话 and more"

// takesFactor sets up the second factor on the own account's page.
func (h *newcomer) takesFactor(b *tab, who string) {
	b.t.Helper()
	if b.where() != "/account" {
		b.open("/account")
	}
	b.fill("form[action='/account/factor'] [name=old]", newPassword)
	b.follow("form[action='/account/factor'] button")
	text := eval[string](b, "document.querySelector('input[name=text]').value")
	f := &factor{}
	var err error
	if f.secret, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(text, " ", "")); err != nil {
		b.t.Fatal(err)
	}
	h.codes[who] = f
	b.fill("form[action='/account/factor/confirm'] [name=code]", f.now())
	b.saves("form[action='/account/factor/confirm'] button")
}

// addStaff makes the accounts of the head of safety and of a class teacher; their first passwords are shown once.
func (h *newcomer) addStaff(t *testing.T, b *tab) map[string]string {
	out := map[string]string{}
	b.open("/")
	b.follow("main a[href='/setup/guide']")
	b.follow("main table a[href='/people']")
	for i, p := range []struct{ login, name, unit, role string }{{"zheng", "郑守川", "安保科", "head_of_safety"}, {"luo", "罗雨禾", "三年级组", "class_teacher"}} {
		b.follow("a[href='/people/new']")
		b.fill("#f-name", p.name)
		b.fill("#f-login", p.login)
		b.fill("#f-staff_no", fmt.Sprintf("2019-01%d", i))
		b.fill("#f-unit", p.unit)
		b.click("label:has(input[name=roles][value=" + p.role + "])")
		b.follow("form[action='/people/new'] button")
		out[p.login] = eval[string](b, "document.querySelector('.secret').innerText")
		b.follow("a[href='/people']")
	}
	return out
}

// enters is somebody's first log-in: their own password, and a second factor when their duty needs one.
func (h *newcomer) enters(t *testing.T, who, first string, factor bool) *tab {
	b := h.tab(t, "")
	b.open("/login")
	b.enter(who, first)
	if b.where() != "/account" {
		t.Fatalf("the first log-in of %s leads to %s", who, b.where())
	}
	b.fill("form[action='/account/password'] [name=old]", first)
	b.fill("[name=new]", newPassword)
	b.fill("[name=again]", newPassword)
	b.follow("form[action='/account/password'] button")
	if strings.HasPrefix(b.where(), "/login") {
		b.enter(who, newPassword)
	}
	if factor {
		h.takesFactor(b, who)
	}
	return b
}

// upload gives a filled template to an import page, reads the preview and confirms it.
func (h *newcomer) upload(b *tab, list string, rows ...[]string) {
	b.t.Helper()
	c := b.cookie(cookieName)
	a := h.visitor(c.Value).ask(b.t, http.MethodGet, list+"/template.xlsx", nil)
	f, err := excelize.OpenReader(bytes.NewReader(a.body))
	if err != nil {
		b.t.Fatalf("the template of %s (%d): %v", list, a.status, err)
	}
	sheet := f.GetSheetName(0)
	heads, err := f.GetRows(sheet)
	if err != nil || len(heads) == 0 {
		b.t.Fatalf("the template has no headings: %v", err)
	}
	for len(heads) > 1 { // the example
		if err := f.RemoveRow(sheet, len(heads)); err != nil {
			b.t.Fatal(err)
		}
		heads = heads[:len(heads)-1]
	}
	for at, row := range rows {
		for i := 0; i < len(row); i += 2 {
			column := -1
			for k, head := range heads[0] {
				if strings.TrimSuffix(head, "*") == row[i] {
					column = k + 1
				}
			}
			if column < 0 {
				b.t.Fatalf("the template of %s has no column %s: %q", list, row[i], heads[0])
			}
			cell, err := excelize.CoordinatesToCellName(column, at+2)
			if err == nil {
				err = f.SetCellStr(sheet, cell, row[i+1])
			}
			if err != nil {
				b.t.Fatal(err)
			}
		}
	}
	file := filepath.Join(b.t.TempDir(), "list.xlsx")
	if err := f.SaveAs(file); err != nil {
		b.t.Fatal(err)
	}
	b.follow("a[href='" + list + "/import']")
	b.do("choose the file", chromedp.SetUploadFiles(chromedp.CSS("#f-file"), []string{file}))
	b.follow("form[enctype='multipart/form-data'] button")
	b.saves("form[action='" + list + "/import/confirm'] button")
}

// step opens the next step of the guide, and back is the way back to it.
func (h *newcomer) step(b *tab, href string) {
	b.t.Helper()
	b.open("/setup/guide")
	b.follow("main table a[href='" + href + "']")
}

// fillSchool is the head of safety's way through the guide: places, calendar, bells, classes with their teachers, pupils
// and cards.
func (h *newcomer) fillSchool(t *testing.T, b *tab) {
	now := time.Now().In(h.zone)
	b.open("/")
	b.follow("main a[href='/setup/guide']")
	b.says("校门刷卡还不能使用")

	h.step(b, "/places")
	b.follow("a[href='/places/new']")
	b.fill("#f-name", "东大门")
	b.set("#f-kind", "gate")
	b.saves("form[action='/places/new'] button")

	h.step(b, "/calendar")
	b.fill("[name='terms.0.name']", "本学期")
	b.set("[name='terms.0.from']", now.AddDate(0, -2, 0).Format(time.DateOnly))
	b.set("[name='terms.0.to']", now.AddDate(0, 3, 0).Format(time.DateOnly))
	if d := now.Weekday(); d == time.Saturday || d == time.Sunday {
		b.set("[name='make_ups.0.date']", now.Format(time.DateOnly))
	}
	b.saves("form[action='/calendar'] button.btn--p")

	h.step(b, "/bells")
	b.follow("main table tbody th a")
	minute := now.Hour()*60 + now.Minute()
	for field, at := range map[string]int{"opens": max(0, minute-60), "bell": min(minute+30, 23*60+40), "home": min(minute+90, 23*60+50), "closes": min(minute+120, 23*60+59)} {
		b.set("#f-"+field, fmt.Sprintf("%02d:%02d", at/60, at%60))
	}
	b.saves("main form[action^='/bells/'] button.btn--p")

	h.step(b, "/classes")
	h.upload(b, "/classes", []string{"班级", "三年级1班", "教师", "罗雨禾", "任务", "班主任", "起", now.AddDate(0, -2, 0).Format(time.DateOnly)})

	h.step(b, "/pupils")
	h.upload(b, "/pupils",
		[]string{"姓名", "安知予", "性别", "女", "出生日期", "2017-09-14", "证件类型", "无", "班级", "三年级1班", "监护人1姓名", "安母", "监护人1关系", "母亲", "监护人1电话", "13911112222"},
		[]string{"姓名", "白以宁", "性别", "男", "出生日期", "2017-03-02", "证件类型", "无", "班级", "三年级1班", "监护人1姓名", "白父", "监护人1关系", "父亲", "监护人1电话", "13911113333"})

	h.step(b, "/cards")
	h.upload(b, "/cards", []string{"学生", "安知予", "卡号", "04A2B3C4"}, []string{"学生", "白以宁", "卡号", "04A2B3C5"})
}

// addReader registers the reader on its line, as the administrator.
func (h *newcomer) addReader(t *testing.T, b *tab) {
	h.step(b, "/readers")
	b.follow("a[href='/readers/new']")
	b.fill("#f-id", "r01")
	b.fill("#f-name", "东大门 1 号")
	b.set("#f-port", h.reader.Path())
	b.click("label:has(input[name=direction][value=auto])")
	b.saves("form[action='/readers/new'] button.btn--p")
	until(t, "a reader on the line", func() bool {
		b.open("/readers")
		return strings.Contains(b.text(), "在线")
	})
}

// firstTap holds the first card to the reader while the gate's page is open: it beeps, the pupil is on that page and on
// the class teacher's roll.
func (h *newcomer) firstTap(t *testing.T, head, teacher *tab) {
	head.open("/setup/guide")
	head.says("校门刷卡可以使用")
	head.open("/gate")
	h.reader.Tap([]byte{0x04, 0xA2, 0xB3, 0xC4})
	head.wait("the tap on the gate's page", "document.querySelector('#board').textContent.includes('安*予') || document.querySelector('#board').textContent.includes('安知予')")
	select {
	case beep := <-h.beeps:
		if beep.Beeps != 1 {
			t.Errorf("%d beeps, want one", beep.Beeps)
		}
	case <-time.After(patience):
		t.Error("nobody heard a beep")
	}
	teacher.open("/")
	teacher.follow("nav a[href='/gate']")
	teacher.follow("a[href^='/gate/class/']")
	const rows = "[...document.querySelectorAll('.pupil')].map((p) => p.innerText.replace(/\\s+/g, ' '))"
	if got := eval[[]string](teacher, rows); len(got) != 2 || !strings.Contains(got[0], "白以宁 未到") || !strings.Contains(got[1], "安知予") || !strings.Contains(got[1], "到校") || !strings.Contains(got[1], "已到") {
		t.Errorf("the class teacher's roll: %q", got)
	}
}
