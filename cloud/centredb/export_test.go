package centredb

import "testing"

// StoredParts are the bytes in the rows of released parts, by name.
func (s *DB) StoredParts(t *testing.T) map[string][]byte {
	out := map[string][]byte{}
	err := s.rows(t.Context(), func(scan func(...any) error) error {
		var name string
		var b []byte
		err := scan(&name, &b)
		out[name] = b
		return err
	}, "SELECT name, plain FROM parts")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Aside counts what is set aside of an appliance, and gives the length of the shortest.
func (s *DB) Aside(t *testing.T, appliance string) (n, shortest int) {
	if err := s.read.QueryRowContext(t.Context(), s.q("SELECT count(*), min(length(x.body)) FROM aside x JOIN appliances a ON a.app = x.app WHERE a.id = ?"), appliance).Scan(&n, &shortest); err != nil {
		t.Fatal(err)
	}
	return n, shortest
}

// First makes the open database what the first layout was, with one released part in clear.
func (s *DB) First(t *testing.T) {
	for _, q := range []string{"DROP TABLE alarm_details", "DROP TABLE days", "DROP TABLE cameras", "ALTER TABLE parts DROP COLUMN sealed", "ALTER TABLE people DROP COLUMN secret", "UPDATE meta SET v = '1' WHERE k = 'schema'",
		"INSERT INTO parts (app, epoch, seq, name, owner, plain, erased) VALUES (1, 1, 0, 'purpose', 'o', '寻物', 0)",
		"INSERT INTO people (id, login, name, roles, password, disabled) VALUES ('c001', 'li', '李', '[]', 'hash', 0)"} {
		if _, err := s.exec(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// Reopen runs what opening does.
func (s *DB) Reopen(t *testing.T) {
	if err := s.upgrade(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
}
