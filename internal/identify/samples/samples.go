// Package samples reads tables of recorded answers of devices, to identify them
// by the hundred: a CSV index, and a file beside it for each row.
package samples

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/watchward/watchward/internal/estate"
)

// Sample is a row and its file. Columns that say what the right answer is are
// never read: see Row for who wants to compare.
type Sample struct {
	ID   string
	Line int // in the index
	Kind string
	// Evidence is the file's content, read as the kind says.
	Evidence estate.Evidence
	// Row holds the whole row by column, for those who measure.
	Row map[string]string
}

// maxFile bounds what is read of one file; evidence keeps 64 KiB of it.
const maxFile = 1 << 20

// Read hands each row of an index to each, in order. A row that cannot be read
// is handed over with an error that names its line, and the others go on. What
// it returns says why the index itself could not be read.
func Read(dir fs.FS, index string, each func(Sample, error) error) error {
	f, err := dir.Open(index)
	if err != nil {
		return fmt.Errorf("open index of samples: %w", err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord = -1
	head, err := r.Read()
	if errors.Is(err, io.EOF) {
		err = errors.New("it is empty")
	}
	if err != nil {
		return fmt.Errorf("read index %q: %w", index, err)
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff")
	for _, want := range []string{"id", "file", "protocol"} {
		if !slices.Contains(head, want) {
			return fmt.Errorf("read index %q: no column %q: want id, file and protocol", index, want)
		}
	}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var parse *csv.ParseError
		switch {
		case errors.As(err, &parse):
			err = each(Sample{Line: parse.StartLine}, fmt.Errorf("line %d: %w", parse.StartLine, parse.Err))
		case err != nil:
			return fmt.Errorf("read index %q: %w", index, err)
		default: // a row that could not be read has no fields to stand anywhere
			line, _ := r.FieldPos(0)
			err = each(read(dir, path.Dir(index), head, row, line))
		}
		if err != nil {
			return err
		}
	}
}

func read(dir fs.FS, folder string, head, row []string, line int) (Sample, error) {
	s := Sample{Line: line, Row: map[string]string{}}
	for i, name := range head {
		if i < len(row) {
			s.Row[name] = row[i]
		}
	}
	s.ID, s.Kind = s.Row["id"], s.Row["protocol"]
	fail := func(format string, args ...any) (Sample, error) {
		return s, fmt.Errorf("line %d: "+format, append([]any{line}, args...)...)
	}
	switch {
	case len(row) != len(head):
		return fail("%d columns: want %d", len(row), len(head))
	case s.ID == "" || s.Row["file"] == "" || s.Kind == "":
		return fail("id %q, file %q, protocol %q: want all three", s.ID, s.Row["file"], s.Kind)
	}
	name := path.Join(folder, path.Clean("/" + s.Row["file"])[1:])
	f, err := dir.Open(name)
	if err != nil {
		return fail("sample %q: %w", s.ID, err)
	}
	defer f.Close()
	value, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return fail("sample %q: %w", s.ID, err)
	}
	s.Evidence = estate.Evidence{ID: s.ID, Kind: s.Kind, Value: string(value), Source: "sample"}
	return s, nil
}
