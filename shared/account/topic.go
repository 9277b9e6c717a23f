package account

import (
	"slices"
	"strconv"
	"strings"
)

// partitions is the number of topic partitions (design §6); which one an appliance uses is shared/wire's to say.
const partitions = 64

func topicOf(topic, appliance string, leaves []string) bool {
	p := strings.Split(topic, "/")
	if len(p) != 5 || p[0] != "ck" || p[1] != "1" || p[3] != appliance || strings.ContainsAny(appliance, "+#$") {
		return false
	}
	n, err := strconv.ParseUint(p[2], 10, 8)
	return err == nil && n < partitions && slices.Contains(leaves, p[4])
}
