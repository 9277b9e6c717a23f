package school

import (
	"context"
	"fmt"
	"slices"

	"campuskeep/firmware/records"
	"campuskeep/shared/account"
	"campuskeep/shared/ledger"
	rules "campuskeep/shared/records"
	"campuskeep/shared/student"
)

// records gives everybody the agreement that opens records, and some pupils something in them.
func (o Options) records(ctx context.Context, accounts []Account, cards []Card) error {
	if o.Records == nil {
		return nil
	}
	at := o.Clock.Now().Wall.In(o.Zone)
	today, until := at.Format(student.DateLayout), at.AddDate(1, 0, 0).Format(student.DateLayout)
	who := func(login string, classes ...string) account.Who {
		i := slices.IndexFunc(accounts, func(a Account) bool { return a.Login == login })
		a := accounts[i]
		return account.Who{Actor: account.Actor{ID: a.ID, Roles: a.Roles, Classes: classes, SecondFactor: true}, From: from, Via: ledger.ViaWeb}
	}
	for _, a := range accounts {
		if slices.Contains(a.Roles, account.RoleAdmin) || slices.Contains(a.Roles, account.RoleInstaller) {
			continue
		}
		by := who("zheng")
		if a.Login == "zheng" {
			by = who("leader")
		}
		if err := o.Records.PutAgreement(ctx, by, rules.Agreement{Person: a.ID, Signed: today, Trained: today, Until: until}, nil); err != nil {
			return fmt.Errorf("agreement of %s: %w", a.Login, err)
		}
	}
	doctor, teacher := who("cheng"), who("luo", cards[0].Class)
	for _, d := range []struct {
		by     account.Who
		pupil  int
		kind   string
		source rules.Source
		values map[string]string
		follow bool
		owner  string
	}{
		{doctor, 0, "condition", "hospital", map[string]string{"sort": "chronic", "diagnosis": "哮喘（轻度，间歇）", "trigger": "剧烈跑步、粉尘、冷空气", "sign": "喘、胸闷、说话断续", "do": "坐直休息，用自带吸入器 1 次", "medicine": "自带吸入器", "where": "书包外袋，另一支在校医室"}, false, ""},
		{doctor, 0, rules.KindCare, "hospital", map[string]string{"do": "跑步、粉尘、冷风后可能喘。停下活动，坐直，不要平躺。\n吸入器在书包外袋，另一支在校医室。让学生自己用 1 次。\n5 分钟不缓解：打校医室；说不出话：打 120，再打监护人。"}, false, ""},
		{doctor, 0, rules.KindCard, "document", map[string]string{"blood": "a", "allergy": "无已知过敏"}, false, ""},
		{doctor, 1, rules.KindCare, "guardian", map[string]string{"do": "不能吃花生及含花生的点心。\n误食后嘴唇肿、起疹：立即送校医室，打 120。"}, false, ""},
		{doctor, 1, "exam", "hospital", map[string]string{"term": "本学期", "by": "示例市中医院体检队", "height": "124.5", "weight": "24.0", "left_eye": "4.8", "right_eye": "4.9", "hearing": "normal", "heart": "normal", "lungs": "normal", "text": "左眼视力较上学期下降，建议配镜检查"}, true, "cheng"},
		{doctor, 2, "visit", "seen", map[string]string{"symptoms": "活动后腹痛", "since": "约 20 分钟", "measured": "体温 36.8", "done": "卧床休息，热敷，缓解", "sent": "class", "told": "班主任、母亲"}, false, ""},
		{teacher, 0, rules.KindHazard, "visit", map[string]string{"sort": "stairs", "where": "租住处室外楼梯", "text": "室外楼梯一侧无扶手", "agreed": "房东答应月底前加装"}, true, "luo"},
		{teacher, 3, rules.KindIncident, "seen", map[string]string{"place": "place-c02", "sort": "running", "injured": "no", "text": "课间追跑，与同学相碰，均未受伤", "handling": "当场谈话，约定靠右慢行"}, true, ""},
		{teacher, 2, rules.KindPraise, "colleague", map[string]string{"place": "place-c02", "text": "主动扶起摔倒的同学并送校医室"}, false, ""},
	} {
		draft := records.Draft{Record: rules.Record{Student: cards[d.pupil].Student, Kind: d.kind, Happened: today, Source: d.source, Values: d.values}, Follow: d.follow}
		if d.owner != "" {
			draft.Owner = who(d.owner).ID
		}
		if _, err := o.Records.Write(ctx, d.by, draft); err != nil {
			return fmt.Errorf("%s of pupil %d: %w", d.kind, d.pupil, err)
		}
	}
	return nil
}
