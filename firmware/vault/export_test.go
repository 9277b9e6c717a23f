package vault

import "campuskeep/shared/footage"

// AddRows puts rows into the index of a vault that is closed, for archives too big to be recorded in a test.
func AddRows(path string, parts func(yield func([]footage.Segment) bool)) error {
	x, err := openIndex(path, nil, nil)
	if err != nil {
		return err
	}
	for rows := range parts {
		if err := x.add(rows, nil); err != nil {
			return err
		}
	}
	return x.close()
}
