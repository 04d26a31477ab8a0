package estate

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// MaxPage is the most rows that one list returns.
const MaxPage = 500

// Filter narrows a list of devices. Zero fields do not.
type Filter struct {
	Site         string
	Organisation string   // and all below it
	Sites        []string // any of these; nil: of all, and of none
	Scan         string   // ID of the last [Scan] that saw it; lists only
	State        State    // "": all but removed ones, or with them
	WithRemoved  bool
	Maker        string // ID; "-" is those of unknown maker
	Confidence   Confidence
	Kind         Kind
	Text         string // words, each a beginning: of name, address, number, maker …

	After string // [Page.Next] of the page before
	Limit int    // 0: 50; at most [MaxPage]
}

// Page is one page of a list, ordered by where the devices hang, then by name.
type Page struct {
	Devices []Device
	Next    string // for [Filter.After]; "" at the end
}

// cursor is the last row of a page.
type cursor struct {
	Place, Sorted, ID string
}

func (c cursor) String() string { return base64.RawURLEncoding.EncodeToString([]byte(encode(c))) }

func parseCursor(s string) (cursor, error) {
	var c cursor
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		return c, invalid("after", "cursor", "")
	}
	return c, nil
}

// Devices returns one page. It costs the same on the first page and the last.
func (e *Estate) Devices(ctx context.Context, f Filter) (Page, error) {
	p, err := e.devices(ctx, f)
	if err != nil {
		return Page{}, fmt.Errorf("list devices: %w", err)
	}
	return p, nil
}

func (e *Estate) devices(ctx context.Context, f Filter) (Page, error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	f.Limit = min(f.Limit, MaxPage)
	query, args, err := e.listQuery(ctx, f)
	if err != nil {
		return Page{}, err
	}
	rows, err := pool{e.db}.QueryContext(ctx, query, args...)
	if err != nil {
		return Page{}, err
	}
	defer rows.Close()
	var p Page
	for rows.Next() {
		d, err := scanDevice(rows)
		if err != nil {
			return Page{}, err
		}
		if len(p.Devices) == f.Limit {
			last := p.Devices[f.Limit-1]
			p.Next = cursor{last.Place, strings.ToLower(last.Name), string(last.ID)}.String()
			break
		}
		p.Devices = append(p.Devices, d)
	}
	return p, rows.Err()
}

// conditions collects the parts of a WHERE and their arguments.
type conditions struct {
	parts []string
	args  []any
}

// add takes a condition with "?" where each argument goes.
func (c *conditions) add(part string, args ...any) {
	for _, a := range args {
		c.args = append(c.args, a)
		part = strings.Replace(part, "?", "$"+strconv.Itoa(len(c.args)), 1)
	}
	c.parts = append(c.parts, part)
}

// listQuery finds the page's IDs in an index that covers the filter, and only
// then reads rows.
func (e *Estate) listQuery(ctx context.Context, f Filter) (string, []any, error) {
	var c conditions
	var last cursor
	if f.After != "" {
		var err error
		if last, err = parseCursor(f.After); err != nil {
			return "", nil, err
		}
		c.add(`(place, sorted, id) > (?, ?, ?)`, last.Place, last.Sorted, last.ID)
	}
	if err := c.place(ctx, pool{e.db}, f, last.Place); err != nil {
		return "", nil, err
	}
	if f.State != "" {
		c.add(`state = ?`, string(f.State))
	} else if !f.WithRemoved {
		c.add(`state <> ?`, string(Removed))
	}
	if f.Maker == "-" {
		c.add(`maker = ''`)
	} else if f.Maker != "" {
		c.add(`maker = ?`, f.Maker)
	}
	if f.Confidence != "" {
		c.add(`confidence = ?`, string(f.Confidence))
	}
	if f.Kind != "" {
		c.add(`kind = ?`, string(f.Kind))
	}
	if f.Scan != "" {
		c.add(`last_scan = ?`, f.Scan)
	}
	if err := e.words(ctx, &c, f.Text); err != nil {
		return "", nil, err
	}
	page := `SELECT id FROM estate_devices` + c.where() + ` ORDER BY place, sorted, id LIMIT ` + strconv.Itoa(f.Limit+1)
	return `SELECT ` + deviceColumns + ` FROM estate_devices WHERE id IN (` + page + `) ORDER BY place, sorted, id`, c.args, nil
}

func (c *conditions) where() string {
	if len(c.parts) == 0 {
		return ""
	}
	return ` WHERE ` + strings.Join(c.parts, ` AND `)
}

// place keeps to the filter's part of the tree; the list begins at begin.
func (c *conditions) place(ctx context.Context, q querier, f Filter, begin string) error {
	switch {
	case f.Site != "":
		s, err := oneSite(ctx, q, f.Site)
		if err != nil {
			return invalid("site", "unknown", clip(f.Site))
		}
		place, err := sitePlace(ctx, q, s)
		if err != nil {
			return err
		}
		c.add(`place = ?`, place)
	case f.Organisation != "":
		o, err := oneOrganisation(ctx, q, f.Organisation)
		if err != nil {
			return invalid("organisation", "unknown", clip(f.Organisation))
		}
		// "0" is the character after "/". A page that begins within needs no
		// second lower bound, which would lead the planner astray.
		if begin < o.Path+"/" {
			c.add(`place >= ?`, o.Path+"/")
		}
		c.add(`place < ?`, o.Path+"0")
	}
	if f.Sites == nil {
		return nil
	}
	sites, err := selectSites(ctx, q)
	if err != nil {
		return err
	}
	var places []any
	for _, s := range sites {
		if slices.Contains(f.Sites, s.ID) {
			place, err := sitePlace(ctx, q, s)
			if err != nil {
				return err
			}
			places = append(places, place)
		}
	}
	c.add(`place IN (`+strings.TrimSuffix(strings.Repeat("?, ", len(places)), ", ")+`)`, places...)
	return nil
}

// maxAsked bounds the words of a search.
const maxAsked = 6

// rare is how many devices a word may find for the list to begin at them
// instead of walking through the estate in order.
const rare = 1000

// words adds what a person looks for. The rarest word leads when it is rare;
// when even that is common, the list's own order meets enough of them soon.
func (e *Estate) words(ctx context.Context, c *conditions, text string) error {
	asked := strings.Fields(strings.ToLower(cut(text, 200)))
	asked = asked[:min(len(asked), maxAsked)]
	lead, least := -1, rare+1
	for i, w := range asked {
		var n int
		err := pool{e.db}.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM estate_words WHERE word >= $1 AND word < $2 LIMIT $3) AS some`,
			w, after(w), rare+1).Scan(&n)
		if err != nil {
			return err
		}
		if n < least {
			lead, least = i, n
		}
	}
	for i, w := range asked {
		if i == lead {
			c.add(`id IN (SELECT device FROM estate_words WHERE word >= ? AND word < ?)`, w, after(w))
		} else {
			c.add(`EXISTS (SELECT 1 FROM estate_words w WHERE w.device = estate_devices.id AND w.word >= ? AND w.word < ?)`, w, after(w))
		}
	}
	return nil
}

// after is the least text greater than every text that begins with w.
func after(w string) string { return w + "\U0010ffff" }
