package ledgerdb

import "encoding/binary"

// topics say of each entry of a tile what it is about, so that a search for one of many things reads its entries and
// not its neighbours: of 64 cameras one is in every tile. They are stored with the tile.
type topics [tileWidth]topic

// topic is what an entry is about, cut short. It is in stored tiles: it must not change.
type topic uint16

const (
	topicOpen   topic = 0 // of several things, or not known: look inside
	topicNone   topic = 1 // of nothing that one can search for
	topicsBytes       = 2 * tileWidth
)

// topicOf folds the token of a thing. Two things may have the same.
func topicOf(token uint64) topic {
	return max(topic(token^token>>16^token>>32^token>>48), topicNone+1)
}

// topic of an entry: the tokens behind those of its kind and its actor.
func (t *tokens) topic() topic {
	about := topicNone
	n := 0
	for token := range t.all {
		if n++; n <= 2 {
			continue
		}
		switch is := topicOf(token); {
		case about == topicNone:
			about = is
		case about != is:
			return topicOpen
		}
	}
	return about
}

func (t *topics) append(b []byte) []byte {
	for _, is := range t {
		b = binary.BigEndian.AppendUint16(b, uint16(is))
	}
	return b
}

// parseTopics reads what append writes.
func parseTopics(b []byte) (t topics) {
	for i := range t {
		t[i] = topic(binary.BigEndian.Uint16(b[2*i:]))
	}
	return t
}

// topicSet are the topics of what is searched for.
type topicSet [1 << 16 / 64]uint64

func (s *topicSet) add(t topic)      { s[t/64] |= 1 << (t % 64) }
func (s *topicSet) has(t topic) bool { return s[t/64]&(1<<(t%64)) != 0 }
