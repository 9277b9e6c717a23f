package student

import (
	"maps"
	"slices"
	"strings"
)

// Sex is a code of GB/T 2261.1.
type Sex string

// The codes of GB/T 2261.1.
const (
	SexUnknown  Sex = "0"
	SexMale     Sex = "1"
	SexFemale   Sex = "2"
	SexUnstated Sex = "9"
)

// Known says whether the code is one that may be stored of a pupil.
func (s Sex) Known() bool { return s == SexMale || s == SexFemale || s == SexUnstated }

// ParseSex reads a roster's cell: 男, 女, or a code of the standard.
func ParseSex(s string) (Sex, bool) {
	switch s {
	case "男", "1", "男性":
		return SexMale, true
	case "女", "2", "女性":
		return SexFemale, true
	case "9":
		return SexUnstated, true
	}
	return "", false
}

// Relation is what a guardian is to the student.
type Relation string

// The relations.
const (
	Father      Relation = "father"
	Mother      Relation = "mother"
	Grandparent Relation = "grandparent"
	Sibling     Relation = "sibling"
	OtherKin    Relation = "other"
)

var relationWords = map[string]Relation{
	"父亲": Father, "爸爸": Father, "父": Father, "父子": Father, "父女": Father,
	"母亲": Mother, "妈妈": Mother, "母": Mother, "母子": Mother, "母女": Mother,
	"爷爷": Grandparent, "奶奶": Grandparent, "外公": Grandparent, "外婆": Grandparent, "祖父": Grandparent, "祖母": Grandparent,
	"祖父母": Grandparent, "外祖父母": Grandparent, "兄弟姐妹": Sibling, "外祖父": Grandparent, "外祖母": Grandparent, "姥爷": Grandparent, "姥姥": Grandparent,
	"哥哥": Sibling, "姐姐": Sibling, "兄": Sibling, "姐": Sibling,
	"其他": OtherKin, "其他监护人": OtherKin, "叔叔": OtherKin, "伯父": OtherKin, "姑姑": OtherKin, "舅舅": OtherKin, "姨": OtherKin,
}

// ParseRelation reads a roster's cell.
func ParseRelation(s string) (Relation, bool) {
	r, ok := relationWords[s]
	if !ok {
		r = Relation(s)
		ok = r.known()
	}
	return r, ok
}

// Relations lists them in the order of forms.
var Relations = []Relation{Father, Mother, Grandparent, Sibling, OtherKin}

func (r Relation) known() bool { return slices.Contains(Relations, r) }

// Ethnicities lists the codes of GB/T 3304 in their order.
func Ethnicities() []string { return slices.Sorted(maps.Keys(ethnicityByCode)) }

// ethnicities is GB/T 3304 in the order of its numeric codes, from 01; 97 and 98 follow apart.
var ethnicities = strings.Fields(`汉族 蒙古族 回族 藏族 维吾尔族 苗族 彝族 壮族 布依族 朝鲜族 满族 侗族 瑶族 白族 土家族 哈尼族
哈萨克族 傣族 黎族 傈僳族 佤族 畲族 高山族 拉祜族 水族 东乡族 纳西族 景颇族 柯尔克孜族 土族 达斡尔族 仫佬族 羌族 布朗族
撒拉族 毛南族 仡佬族 锡伯族 阿昌族 普米族 塔吉克族 怒族 乌孜别克族 俄罗斯族 鄂温克族 德昂族 保安族 裕固族 京族 塔塔尔族
独龙族 鄂伦春族 赫哲族 门巴族 珞巴族 基诺族`)

var (
	ethnicityByCode = map[string]string{"97": "其他", "98": "外国血统中国籍人士"}
	ethnicityByName = map[string]string{"其他": "97", "外国血统": "98", "外国血统中国籍人士": "98"}
)

func init() {
	for i, name := range ethnicities {
		code := string([]byte{byte('0' + (i+1)/10), byte('0' + (i+1)%10)})
		ethnicityByCode[code] = name
		ethnicityByName[name] = code
		ethnicityByName[strings.TrimSuffix(name, "族")] = code
	}
}

// EthnicityName is the name of a GB/T 3304 code.
func EthnicityName(code string) (string, bool) {
	n, ok := ethnicityByCode[code]
	return n, ok
}

// ParseEthnicity reads a roster's cell: the name with or without 族, or the code with or without leading zero.
func ParseEthnicity(s string) (code string, ok bool) {
	if len(s) == 1 && digits(s) {
		s = "0" + s
	}
	if _, ok := ethnicityByCode[s]; ok {
		return s, true
	}
	code, ok = ethnicityByName[s]
	return code, ok
}
