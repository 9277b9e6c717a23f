package nvr

import (
	"slices"

	"campuskeep/firmware/store"
)

// known are the fetches as they stand in the store: they are asked for every few seconds, for each camera and hold.
type known struct {
	valid  bool
	all    []Fetch
	camera map[string][]Fetch
}

// Fetches lists all that were asked for, oldest first.
func (r *Room) Fetches() ([]Fetch, error) {
	k, err := r.known()
	return slices.Clone(k.all), err
}

// fetchesOf are those of one camera. The caller does not change them.
func (r *Room) fetchesOf(camera string) ([]Fetch, error) {
	k, err := r.known()
	return k.camera[camera], err
}

func (r *Room) known() (known, error) {
	r.mu.Lock()
	k, read := r.fetching, r.changes
	r.mu.Unlock()
	if k.valid {
		return k, nil
	}
	k = known{valid: true, camera: map[string][]Fetch{}}
	err := r.o.Store.View(func(tx store.Tx) error {
		for _, f := range fetches.All(tx) {
			k.all = append(k.all, f)
			k.camera[f.Camera] = append(k.camera[f.Camera], f)
		}
		return nil
	})
	if err != nil {
		return known{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if read == r.changes { // else they may have been read before a change
		r.fetching = k
	}
	return k, nil
}

// refetched notes that fetches have changed in the store.
func (r *Room) refetched() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes++
	r.fetching = known{}
}
