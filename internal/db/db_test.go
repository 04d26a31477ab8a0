package db

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func open(t *testing.T, path string) *DB {
	t.Helper()
	d, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

var schema = []string{
	`CREATE TABLE thing (id TEXT PRIMARY KEY, at_us BIGINT NOT NULL)`,
	`CREATE TABLE part (id TEXT PRIMARY KEY, thing TEXT NOT NULL REFERENCES thing (id))`,
}

func TestApplyGoesForwardOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	d := open(t, path)
	for _, tt := range []struct {
		name   string
		schema []string
		want   error
		has    string
	}{
		{"first step", schema[:1], nil, ""},
		{"again", schema[:1], nil, ""},
		{"grown", schema, nil, ""},
		{"an older program", schema[:1], ErrNewer, `schema of "room" has 1 steps, the file 2`},
		{"history rewritten", []string{schema[0], schema[1] + " "}, ErrChanged, "step 2"},
		{"broken step", append(schema[:2:2], "CREATE TABLE"), nil, "step 3"},
		{"still as before", schema, nil, ""},
	} {
		err := d.Apply(t.Context(), "room", tt.schema)
		switch {
		case tt.want == nil && tt.has == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != nil && !errors.Is(err, tt.want):
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		case tt.has != "" && (err == nil || !strings.Contains(err.Error(), tt.has)):
			t.Errorf("%s: got %v, want it to say %q", tt.name, err, tt.has)
		}
	}
	// Rooms do not share steps.
	if err := d.Apply(t.Context(), "other", []string{`CREATE TABLE other (id TEXT PRIMARY KEY)`}); err != nil {
		t.Error(err)
	}
}

func TestTxRollsBack(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "odd ?#%name", "a b.db"))
	if err := d.Apply(t.Context(), "room", schema); err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	err := d.Tx(t.Context(), func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(t.Context(), `INSERT INTO thing VALUES ($1, $2)`, "a", 1); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatalf("got %v, want %v", err, boom)
	}
	if n := count(t, d); n != 0 {
		t.Errorf("%d rows after a rollback, want 0", n)
	}
	if _, err := d.Exec(t.Context(), `INSERT INTO part VALUES ('p', 'nothing')`); err == nil {
		t.Error("a reference to nothing was taken: foreign keys are off")
	}
	if _, err := d.read.ExecContext(t.Context(), `INSERT INTO thing VALUES ('r', 1)`); err == nil {
		t.Error("a reading connection could write")
	}
	if _, err := os.Stat(d.Path()); err != nil {
		t.Errorf("the file lies elsewhere: %v", err)
	}
	if st, err := os.Stat(d.Path()); err == nil && st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", st.Mode())
	}
}

func count(t *testing.T, d *DB) (n int) {
	t.Helper()
	if err := d.QueryRow(t.Context(), `SELECT count(*) FROM thing`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Two pools on one file stand for two processes, as when `archive check` runs
// beside a server.
func TestWritersWaitForEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	pools := []*DB{open(t, path), open(t, path)}
	if err := pools[0].Apply(t.Context(), "room", schema); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 25 {
				_, err := pools[w%2].Exec(t.Context(), `INSERT INTO thing VALUES ($1, $2)`, fmt.Sprintf("%d-%d", w, i), i)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := count(t, pools[0]); n != 100 {
		t.Errorf("%d rows, want 100", n)
	}
}

func TestDamagedFileIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), path)
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want %v with the path", err, ErrCorrupt)
	}
}

func TestCheck(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "a.db"))
	if err := d.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
