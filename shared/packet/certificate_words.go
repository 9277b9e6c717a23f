package packet

import (
	"maps"

	"campuskeep/shared/footage"
)

// words2 are the words of version 2: they say what the entries show and where that ends.
var words2 = words{
	appliance: "主机 appliance", name: "名称（录像当日）name (on that day)", place: "地点（录像当日）place (on that day)",
	outcome: outcome2,
	assurance: map[string]string{
		AssuranceErased:     "密钥已销毁（安全芯片）：根密钥在安全芯片（TPM）中，当日密钥销毁后已更换。key destroyed in TPM: the root key lies in a TPM and was turned after the key of the day was destroyed.",
		AssurancePending:    "已删除，根密钥待更换：根密钥在安全芯片（TPM）中，当日密钥销毁后尚未更换，此前的密钥文件副本仍可能读出。deleted, root key not turned yet: an older copy of the key file may still be opened.",
		AssuranceBestEffort: "已删除（可能有残留）：文件已删除，密钥已从密钥文件中清除；存储介质可能有残留。deleted, traces possible: files deleted and the key removed from its file; the storage medium may keep older copies.",
		AssuranceAttested:   "录像机自报：本系统每日与录像机目录核对。reported by the NVR: its listing is compared daily.",
	},
	late: map[footage.LateCause]string{
		footage.LateClock:  "时钟不可信 the clock was not trusted",
		footage.LatePower:  "主机断电 the appliance was off",
		footage.LateUnlink: "文件删除失败 the disk refused to delete",
		footage.LateHold:   "锁定期间 a hold kept it",
	},
	gap:     gap2(),
	overdue: "逾期 late", breach: "违规登记 breach", none: "没有违规登记可以解释。 No breach entry explains it.",
	key: "当日密钥 key", announced: "密钥清除登记 key removal announced", destroyed: "密钥清除 key removed",
	hold: "锁定 Holds", kept: "锁定中，至 kept until",
	notes: "本证明依据主机日志生成，只涉及存储在主机上的录像，不包括经批准提取、截取的副本，也不包括录像机及其他设备上的录像。\n" +
		"Made from the appliance's log; it covers only footage stored there, not copies, stills, NVRs or other devices.\n" +
		"时间均为协调世界时（UTC）。根为 RFC 6962 默克尔树根，覆盖该小时每个分段的文件编号、内容摘要和首尾时刻。\n" +
		"All times are UTC. A root is the RFC 6962 Merkle root over file id, content hash, first and last frame of every segment of that hour.\n" +
		"以上结论由下列日志条目推出；核验工具会重新推算并逐字比对。首部的学校、名称和地点由签发时的登记写入。条目是否齐全，须核对整份日志。\n" +
		"The findings above follow from the entries below; the verifier derives them again and compares them byte by byte. School, name and place in the first lines were written at the issue. Only the whole log can show that no entry is missing.\n",
}

// outcome2 is the finding, with what the end of the key is worth.
func outcome2(d Day) string {
	zh, en := "已到期并全部删除", "is due and deleted"
	if d.Early > 0 || d.Unexcused {
		zh, en = "已全部删除（有提前，见下）", "is deleted, in part before it was due (see below)"
	}
	keyZH, keyEN := "当日密钥已从密钥文件中清除；存储介质可能有残留。", "the key of the day is removed from the key file; traces may remain on the storage medium."
	switch d.Assurance {
	case AssuranceErased:
		keyZH, keyEN = "当日密钥已在安全芯片中销毁。", "the key of the day is destroyed in the TPM."
	case AssurancePending:
		keyZH, keyEN = "当日密钥已从密钥文件中清除，安全芯片中的根密钥尚未更换。", "the key of the day is removed from the key file; the root key in the TPM has not been turned since."
	}
	switch d.Outcome {
	case OutcomeErased:
		return "存储在主机上的录像文件" + zh + "，" + keyZH + "\nAll footage of this day stored on the appliance " + en + "; " + keyEN + "\n"
	case OutcomeHeld:
		return "存储在主机上的录像文件，除锁定的部分外，" + zh + "；锁定部分由锁定密钥单独加密。" + keyZH +
			"\nAll footage of this day stored on the appliance, except for what a hold keeps under a key of its own, " + en + "; " + keyEN + "\n"
	case OutcomeAttested:
		return "据录像机目录，已不再列出这一天的录像。录像机自报，不能证明数据已被销毁。\n" +
			"By its own listing the NVR no longer has footage of this day. This is reported by the NVR; it does not prove that the data are destroyed.\n"
	case OutcomeUnbound:
		return "登记的删除多于登记的录制，记录不全。\nMore is entered as deleted than as recorded: the record is not complete.\n"
	}
	return "这一天的录像尚未全部删除。\nThe footage of this day is not all deleted yet.\n"
}

func gap2() map[footage.Cause]string {
	m := maps.Clone(gap1)
	m[footage.CauseLogin] = "摄像机拒绝登录 credentials"
	m[footage.CauseRestart] = "主机重启 restart"
	m[footage.CauseFull] = "存储不足，停止录制 disk too small"
	m[footage.CausePaused] = "主机停顿 appliance stood still"
	m[footage.CauseSwitched] = "更改设置 settings changed"
	m[footage.CauseUnknown] = "原因不明 unknown"
	return m
}
