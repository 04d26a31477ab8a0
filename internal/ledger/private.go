package ledger

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// secretsOf is one line of a file of secrets.
type secretsOf struct {
	Leaf    uint64   `json:"leaf"`
	Secrets []Secret `json:"secrets"`
}

// maxSecrets bounds a file of secrets: those of 256 leaves.
const maxSecrets = 256 * maxRecord

// privateName is the file that holds the secrets of a leaf, with those of its
// bundle: small enough to be written anew when one is forgotten.
func privateName(home string, seq uint64) string {
	n := seq / 256
	return filepath.Join(home, privateDir, fmt.Sprintf("%06d", n/1000), fmt.Sprintf("%09d.jsonl", n))
}

// private writes a record's secrets to their file, unless they are there.
func (l *Ledger) private(r record) error {
	if r.private == nil {
		return nil
	}
	name := privateName(l.o.Dir, r.seq)
	have, err := readSecrets(name)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(have, func(s secretsOf) bool { return s.Leaf == r.seq }) {
		return nil
	}
	var secrets []Secret
	if err := json.Unmarshal(r.private, &secrets); err != nil {
		return fmt.Errorf("secrets of leaf %d: %w", r.seq, err)
	}
	if err := l.files.mkdirAll(filepath.Join(l.o.Dir, privateDir)); err != nil {
		return err
	}
	if err := l.files.mkdirAll(filepath.Dir(name)); err != nil {
		return err
	}
	return l.files.writeSecrets(name, append(have, secretsOf{r.seq, secrets}))
}

func (f *files) writeSecrets(name string, all []secretsOf) error {
	if len(all) == 0 {
		return f.remove(name)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, s := range all {
		if err := enc.Encode(s); err != nil {
			return err
		}
	}
	return f.replace(name, b.Bytes(), 0o600)
}

func readSecrets(name string) ([]secretsOf, error) {
	b, err := readSmall(name, maxSecrets)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []secretsOf
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, maxSecrets)
	for lines.Scan() {
		var s secretsOf
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return nil, fmt.Errorf("read %q: %w", name, err)
		}
		out = append(out, s)
	}
	return out, lines.Err()
}

// Secrets returns the words behind a leaf's commitments, as far as they were not
// forgotten, and only those that the commitments bear out.
func (l *Log) Secrets(leaf Leaf) ([]Field, error) {
	all, err := readSecrets(privateName(l.home, leaf.Seq))
	if err != nil {
		return nil, err
	}
	var out []Field
	for _, s := range all {
		if s.Leaf != leaf.Seq {
			continue
		}
		for _, secret := range s.Secrets {
			sum, err := secret.Commitment()
			if err != nil {
				return nil, fmt.Errorf("leaf %d: %w", leaf.Seq, err)
			}
			if sum != leaf.Get(commitPrefix+secret.Key) {
				return nil, fmt.Errorf("leaf %d: what lies beside it under %q is not what it commits to", leaf.Seq, secret.Key)
			}
			out = append(out, Field{secret.Key, secret.Value})
		}
	}
	return out, nil
}

// Forget destroys salt and words of every private fact whose words are exactly
// these, and notes for each leaf that it did. The tree stays as it is: nobody
// can find out any more what the leaf committed to. It returns how many leaves
// were touched; repeat it after an error.
func (l *Ledger) Forget(ctx context.Context, words, reason string) (int, error) {
	// What is still in the spool has its words there too: move it on first.
	if err := l.integrate(ctx); err != nil {
		return 0, fmt.Errorf("forget: %w", err)
	}
	n := 0
	root := filepath.Join(l.o.Dir, privateDir)
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || e.IsDir() || !strings.HasSuffix(name, ".jsonl") {
			return err
		}
		k, err := l.forgetIn(ctx, name, tidy(words), tidy(reason))
		n += k
		return err
	})
	if err != nil {
		return n, fmt.Errorf("forget: %w", err)
	}
	return n, l.integrate(ctx)
}

// forgetIn notes first and destroys then: what is noted and not destroyed is
// found again by the next try.
func (l *Ledger) forgetIn(ctx context.Context, name, words, reason string) (int, error) {
	all, err := readSecrets(name)
	if err != nil {
		return 0, err
	}
	var entries []Entry
	for i := range all {
		before := len(all[i].Secrets)
		all[i].Secrets = slices.DeleteFunc(all[i].Secrets, func(s Secret) bool { return s.Value == words })
		if len(all[i].Secrets) == before {
			continue
		}
		e := Entry{Kind: Forgotten, Fields: []Field{{"leaf", strconv.FormatUint(all[i].Leaf, 10)}}}
		if reason != "" {
			e.Fields = append(e.Fields, Field{"reason", reason})
		}
		entries = append(entries, e)
	}
	if len(entries) == 0 {
		return 0, nil
	}
	if _, err := l.Append(ctx, entries...); err != nil {
		return 0, err
	}
	all = slices.DeleteFunc(all, func(s secretsOf) bool { return len(s.Secrets) == 0 })
	return len(entries), l.files.writeSecrets(name, all)
}

// publishedAt is when a file was written last.
func publishedAt(name string) time.Time {
	st, err := os.Stat(name)
	if err != nil {
		return time.Time{}
	}
	return st.ModTime().UTC()
}
