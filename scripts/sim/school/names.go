package school

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"campuskeep/shared/account"
	"campuskeep/shared/student"
)

type member struct {
	login, name, unit, title string
	roles                    []account.Role
}

func roles(r ...account.Role) []account.Role { return append([]account.Role{account.RoleStaff}, r...) }

// staff of the school. The first is the administrator of the first start.
var staff = []member{
	{"admin", "秦朗", "信息中心", "系统管理员", roles(account.RoleAdmin)},
	{"zhou", "周以宁", "安保科", "安保员", roles(account.RoleOfficer)},
	{"zheng", "郑守川", "安保科", "安保科科长", roles(account.RoleHeadOfSafety)},
	{"leader", "沈望秋", "校长室", "副校长", roles(account.RoleLeader)},
	{"he", "何清越", "德育处", "德育干事", roles()},
	{"liang", "梁牧", "信息中心", "技术员", roles(account.RoleInstaller)},
	{"meng", "孟书简", "安保科", "监控值班员", roles(account.RoleOfficer)},
	{"jian", "简思源", "监督小组", "教职工代表", roles(account.RoleAuditor)},
	{"cheng", "程砚", "校医室", "校医", roles(account.RoleDoctor)},
	{"xin", "辛若水", "心理辅导室", "心理教师", roles(account.RoleCounsellor)},
	{"guo", "郭允文", "总务处", "总务干事", roles()},
	{"qi", "戚景行", "低年级组", "年级组长", roles(account.RoleGradeHead)},
	{"fan", "范之远", "中年级组", "年级组长", roles(account.RoleGradeHead)},
	{"mu", "穆清和", "高年级组", "年级组长", roles(account.RoleGradeHead)},
	{"luo", "罗雨禾", "低年级组", "班主任", roles(account.RoleClassTeacher)},
	{"gao", "高望舒", "低年级组", "班主任", roles(account.RoleClassTeacher)},
	{"jiang", "江映雪", "低年级组", "班主任", roles(account.RoleClassTeacher)},
	{"shu", "舒怀瑾", "低年级组", "班主任", roles(account.RoleClassTeacher)},
	{"ruan", "阮星阑", "中年级组", "班主任", roles(account.RoleClassTeacher)},
	{"tao", "陶知行", "中年级组", "班主任", roles(account.RoleClassTeacher)},
	{"lan", "蓝采薇", "中年级组", "班主任", roles(account.RoleClassTeacher)},
	{"yu", "于怀远", "中年级组", "班主任", roles(account.RoleClassTeacher)},
	{"pei", "裴明澈", "高年级组", "班主任", roles(account.RoleClassTeacher)},
	{"song", "宋嘉树", "高年级组", "班主任", roles(account.RoleClassTeacher)},
	{"wei", "卫青岚", "高年级组", "班主任", roles(account.RoleClassTeacher)},
	{"lu", "陆可风", "高年级组", "班主任", roles(account.RoleClassTeacher)},
	{"ding", "丁以墨", "体育组", "体育教师", roles(account.RoleSubjectTeacher)},
	{"bai", "白露晞", "美术组", "美术教师", roles(account.RoleSubjectTeacher)},
	{"cen", "岑鹤鸣", "音乐组", "音乐教师", roles(account.RoleSubjectTeacher)},
	{"gu", "顾言蹊", "教务处", "教务员", roles()},
	{"yan", "严守拙", "安保科", "监控值班员", roles(account.RoleOfficer)},
	{"shao", "邵临川", "安保科", "监控值班员", roles(account.RoleOfficer)},
}

var (
	surnames = strings.Fields("安 白 曹 岑 崔 戴 丁 范 方 冯 傅 高 顾 郭 韩 贺 侯 胡 江 姜 孔 赖 蓝 黎 李 梁 廖 林 刘 龙 卢 陆 罗 吕 马 毛 孟 莫 倪 潘 彭 钱 秦 邱 任 沈 石 宋 苏 孙 谭 唐 陶 田 汪 王 魏 温 吴 夏 萧 谢 徐 许 薛 严 杨 姚 叶 余 袁 曾 张 赵 郑 钟 周 朱 邹")
	givens   = strings.Fields("知予 以宁 望远 守一 一川 小满 可遥 青禾 闻言 雨桐 子墨 若溪 星然 云舒 嘉木 怀瑾 沐阳 思齐 乐之 清扬 予安 景行 书言 鹤鸣 南乔 初晴 明澈 辰熙 语桐 梓涵 亦凡 听澜 映雪 霁月 行舟 采薇 安歌 念慈 承泽 俊熙 宇航 欣怡 浩然 诗涵 佳宁 瑞霖 天佑 可心 木心 屿舟")
	trades   = strings.Fields("云汀机械厂 青榆路菜市场 区人民医院 自由职业 云汀公交公司 建筑公司 示例科技公司 乡镇中心 个体经营 物流园")
)

// pupil invents a child who entered the first grade in a year: six years old by then.
func pupil(rng *rand.Rand, used map[string]bool, entry int) student.Student {
	pick := func(list []string) string { return list[rng.IntN(len(list))] }
	family := pick(surnames)
	s := student.Student{Name: family + pick(givens), Sex: student.SexMale, Ethnicity: "01", IDKind: student.IDResident,
		Address: fmt.Sprintf("云汀区青榆路 %d 号 %d 室", 1+rng.IntN(180), 101+rng.IntN(12)*100)}
	if rng.IntN(20) == 0 {
		s.Ethnicity = pick([]string{"03", "06", "08", "11", "15"})
	}
	serial := 1 + rng.IntN(999)
	if serial%2 == 0 {
		s.Sex = student.SexFemale
	}
	for {
		month, day := 1+rng.IntN(12), 1+rng.IntN(28)
		year := entry - 6
		if month >= 9 {
			year--
		}
		s.Birth = fmt.Sprintf("%d-%02d-%02d", year, month, day)
		first := fmt.Sprintf("419999%d%02d%02d%03d", year, month, day, serial)
		s.IDNumber = first + string(student.IDCheckDigit(first))
		if !used[s.IDNumber] {
			break
		}
	}
	used[s.IDNumber] = true
	s.NationalNo = "G" + s.IDNumber
	phone := func() string { return fmt.Sprintf("1990000%04d", rng.IntN(10000)) }
	s.Guardians = []student.Guardian{{Name: pick(surnames) + pick(givens), Relation: student.Mother, Phone: phone(), Workplace: pick(trades)}}
	if rng.IntN(4) > 0 {
		s.Guardians = append(s.Guardians, student.Guardian{Name: family + pick(givens), Relation: student.Father, Phone: phone(), Workplace: pick(trades)})
	}
	return s
}

// cardNumber invents a four-byte card number that no other card has.
func cardNumber(rng *rand.Rand, used map[string]bool) string {
	for {
		n := fmt.Sprintf("04%06X", rng.IntN(1<<24))
		if !used[n] {
			used[n] = true
			return n
		}
	}
}
