package nvr

import (
	"slices"

	"campuskeep/firmware/ledgerdb"
)

// fetchCache holds the fetches as the store has them: they are asked for every few seconds, for each camera and hold.
type fetchCache struct {
	valid  bool
	all    []Fetch
	camera map[string][]Fetch
}

// Fetches lists all that were asked for, oldest first.
func (r *Supervisor) Fetches() ([]Fetch, error) {
	k, err := r.cached()
	return slices.Clone(k.all), err
}

// fetchesOf are those of one camera. The caller does not change them.
func (r *Supervisor) fetchesOf(camera string) ([]Fetch, error) {
	k, err := r.cached()
	return k.camera[camera], err
}

func (r *Supervisor) cached() (fetchCache, error) {
	r.mu.Lock()
	k, read := r.fetching, r.changes
	r.mu.Unlock()
	if k.valid {
		return k, nil
	}
	k = fetchCache{valid: true, camera: map[string][]Fetch{}}
	err := r.o.Store.View(func(tx ledgerdb.Tx) error {
		for _, f := range fetches.All(tx) {
			k.all = append(k.all, f)
			k.camera[f.Camera] = append(k.camera[f.Camera], f)
		}
		return nil
	})
	if err != nil {
		return fetchCache{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if read == r.changes { // else they may have been read before a change
		r.fetching = k
	}
	return k, nil
}

// invalidate drops the cache after fetches have changed in the store.
func (r *Supervisor) invalidate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes++
	r.fetching = fetchCache{}
}
