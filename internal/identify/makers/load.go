package makers

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// The tables, and their columns in order. A person may edit them in a
// spreadsheet; lists within a cell are separated by "; ".
const (
	makersFile    = "makers.csv"
	relationsFile = "relations.csv"
	ownersFile    = "owners.csv"
	versionFile   = "version.txt"

	makersHead    = "id,name,legal,jurisdiction,verified,disputed_since,note,source"
	relationsHead = "brand,aliases,lines,maker,relation,since,until,confidence,verified,source"
	ownersHead    = "maker,owner,since,until,verified,source"

	// maxFile bounds one table; ours has some 25 KiB.
	maxFile = 4 << 20
)

// generalKnowledge marks a fact that nobody has read anywhere.
const generalKnowledge = "general knowledge"

// LoadFS reads a graph from a folder with makers.csv, relations.csv, owners.csv
// and version.txt. It returns all that is wrong with them, each with file and
// line.
func LoadFS(dir fs.FS) (*Graph, error) {
	g := &Graph{byID: map[string]int{}, byBrand: map[string][]int{}, aliases: map[string][]string{}, owners: map[string][]Owner{}, owned: map[string][]Owner{}}
	version, err := readAll(dir, versionFile)
	if err != nil {
		return nil, err
	}
	g.version = strings.TrimSpace(string(version))
	return g, errors.Join(
		g.readTable(dir, makersFile, makersHead, g.addMaker),
		g.readTable(dir, relationsFile, relationsHead, g.addRelation),
		g.readTable(dir, ownersFile, ownersHead, g.addOwner),
		g.finish(),
	)
}

func readAll(dir fs.FS, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open table of makers: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", name, err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("read %q: more than %d MiB", name, maxFile>>20)
	}
	return text, nil
}

// readTable hands each row of a table to add and collects its errors.
func (g *Graph) readTable(dir fs.FS, name, head string, add func([]string) error) error {
	text, err := readAll(dir, name)
	if err != nil {
		return err
	}
	r := csv.NewReader(strings.NewReader(string(text)))
	var errs []error
	for first := true; ; first = false {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read %q: %w", name, err)
		}
		if first {
			if got := strings.Join(row, ","); got != head {
				return fmt.Errorf("read %q: columns %q: want %q", name, got, head)
			}
			continue
		}
		if err := add(row); err != nil {
			line, _ := r.FieldPos(0)
			errs = append(errs, fmt.Errorf("%s line %d: %w", name, line, err))
		}
	}
	return errors.Join(errs...)
}

func (g *Graph) addMaker(row []string) error {
	m := Maker{ID: row[0], Name: row[1], Legal: row[2], Jurisdiction: row[3], Note: row[6], Sources: list(row[7])}
	var err1, err2 error
	m.Verified, err1 = verified(row[4], m.Sources)
	m.disputed, err2 = begin(row[5])
	switch {
	case m.ID == "" || strings.ToLower(m.ID) != m.ID || strings.ContainsAny(m.ID, " _/"):
		return fmt.Errorf("ID %q: want lower case words joined by hyphens", m.ID)
	case m.Name == "" || m.Legal == "":
		return fmt.Errorf("maker %q has no name", m.ID)
	case len(m.Jurisdiction) != 2 || strings.ToUpper(m.Jurisdiction) != m.Jurisdiction:
		return fmt.Errorf("maker %q: jurisdiction %q: want two capital letters of ISO 3166", m.ID, m.Jurisdiction)
	}
	if _, ok := g.byID[m.ID]; ok {
		return fmt.Errorf("maker %q stands here twice", m.ID)
	}
	g.byID[m.ID] = len(g.makers)
	g.makers = append(g.makers, m)
	return wrapMaker(m.ID, errors.Join(err1, err2))
}

func wrapMaker(id string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("maker %q: %w", id, err)
}

func (g *Graph) addRelation(row []string) error {
	r := Relation{Brand: row[0], Lines: row[2], Maker: row[3], Kind: Kind(row[4]), Confidence: row[7], Sources: list(row[9])}
	var err1, err2, err3 error
	r.Since, err1 = begin(row[5])
	r.Until, err2 = end(row[6])
	r.Verified, err3 = verified(row[8], r.Sources)
	i, ok := g.byID[r.Maker]
	switch {
	case r.Brand == "":
		return errors.New("no brand")
	case !ok:
		return fmt.Errorf("brand %q: maker %q is not in %s", r.Brand, r.Maker, makersFile)
	case rank(r.Kind) < 0:
		return fmt.Errorf("brand %q: relation %q: want own, subsidiary, former, oem-most or oem-some", r.Brand, r.Kind)
	case r.Kind == Former && r.Until.IsZero():
		return fmt.Errorf("brand %q: a former relation needs the date it ended", r.Brand)
	case !slices.Contains([]string{"high", "medium", "low"}, r.Confidence):
		return fmt.Errorf("brand %q: confidence %q: want high, medium or low", r.Brand, r.Confidence)
	case !r.Until.IsZero() && !r.Since.Before(r.Until):
		return fmt.Errorf("brand %q: ends %q before it begins %q", r.Brand, row[6], row[5])
	}
	r.MakerName = g.makers[i].Name
	at := len(g.relations)
	g.relations = append(g.relations, r)
	for _, name := range append(list(row[1]), r.Brand) {
		if key := fold(name); !slices.Contains(g.byBrand[key], at) {
			g.byBrand[key] = append(g.byBrand[key], at)
		}
	}
	for _, alias := range list(row[1]) {
		if !slices.Contains(g.aliases[r.Brand], alias) {
			g.aliases[r.Brand] = append(g.aliases[r.Brand], alias)
		}
	}
	if !slices.Contains(g.brands, r.Brand) {
		g.brands = append(g.brands, r.Brand)
	}
	return errors.Join(err1, err2, err3)
}

func (g *Graph) addOwner(row []string) error {
	o := Owner{Maker: row[0], Owner: row[1], Sources: list(row[5])}
	var err1, err2, err3 error
	o.Since, err1 = begin(row[2])
	o.Until, err2 = end(row[3])
	o.Verified, err3 = verified(row[4], o.Sources)
	for _, id := range []string{o.Maker, o.Owner} {
		if _, ok := g.byID[id]; !ok {
			return fmt.Errorf("maker %q is not in %s", id, makersFile)
		}
	}
	if !o.Until.IsZero() && !o.Since.Before(o.Until) {
		return fmt.Errorf("owner of %q: ends %q before it begins %q", o.Maker, row[3], row[2])
	}
	g.owners[o.Maker] = append(g.owners[o.Maker], o)
	g.owned[o.Owner] = append(g.owned[o.Owner], o)
	return errors.Join(err1, err2, err3)
}

// finish sorts, and fills in what follows from other tables.
func (g *Graph) finish() error {
	if _, err := time.Parse(time.DateOnly, g.version); err != nil {
		return fmt.Errorf("%s: version %q: want a date such as 2026-11-25", versionFile, g.version)
	}
	for i, m := range g.makers {
		if owners := g.owners[m.ID]; len(owners) > 0 && owners[len(owners)-1].Until.IsZero() {
			g.makers[i].Parent = owners[len(owners)-1].Owner
		}
	}
	slices.SortFunc(g.makers, func(a, b Maker) int { return strings.Compare(a.ID, b.ID) })
	for i, m := range g.makers {
		g.byID[m.ID] = i
	}
	slices.Sort(g.brands)
	return nil
}

func list(cell string) []string {
	var parts []string
	for p := range strings.SplitSeq(cell, ";") {
		if p = strings.TrimSpace(p); p != "" {
			parts = append(parts, p)
		}
	}
	return parts
}

// verified reads a yes or no, and holds it against the sources.
func verified(cell string, sources []string) (bool, error) {
	known := slices.ContainsFunc(sources, func(s string) bool { return !strings.HasPrefix(s, generalKnowledge) })
	switch {
	case len(sources) == 0:
		return false, errors.New("no source")
	case cell != "yes" && cell != "no":
		return false, fmt.Errorf("verified %q: want yes or no", cell)
	case cell == "yes" && !known:
		return false, fmt.Errorf("verified, yet its only source is %s", generalKnowledge)
	}
	return cell == "yes", nil
}

// begin reads a year, a month or a day as its first day.
func begin(cell string) (time.Time, error) {
	t, _, err := span(cell)
	return t, err
}

// end reads a year, a month or a day as the day after its last.
func end(cell string) (time.Time, error) {
	_, t, err := span(cell)
	return t, err
}

func span(cell string) (first, after time.Time, err error) {
	if cell == "" {
		return time.Time{}, time.Time{}, nil
	}
	switch len(cell) {
	case len("2006"):
		first, err = time.Parse("2006", cell)
		after = first.AddDate(1, 0, 0)
	case len("2006-01"):
		first, err = time.Parse("2006-01", cell)
		after = first.AddDate(0, 1, 0)
	default:
		first, err = time.Parse(time.DateOnly, cell)
		after = first.AddDate(0, 0, 1)
	}
	if err != nil {
		return time.Time{}, time.Time{}, fmt.Errorf("date %q: want 2018, 2018-02 or 2018-02-28", cell)
	}
	return first, after, nil
}
