package estate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

// Inventory is an estate, or a part of one, as a file tells it: package
// exchange reads and writes the formats.
type Inventory struct {
	Organisations []Organisation // by ID; parents before children
	Sites         []Site         // Organisation is an ID
	Records       []Record
}

// Record is a device as a file tells it. Where the file names a site and an
// organisation and gives no IDs, SiteName and OrganisationName hold them;
// Device.Site wins.
type Record struct {
	Line             int // of the file, or the record's number; from 1
	Device           Device
	Evidence         []Evidence
	SiteName         string
	SiteClass        SiteClass // of a site that is made
	OrganisationName string
	Body             string // of an organisation that is made
}

// Import says how to take an inventory in.
type Import struct {
	By     string // who imports
	Source string // the file's name
	// KeepGood takes the records that are right though others are wrong.
	// Without it, one that is wrong stops all.
	KeepGood bool
	DryRun   bool // say what would happen; change nothing
}

// DeviceReport says what an import did. With errors, and without KeepGood, it
// did nothing, and the counts are of what is right.
type DeviceReport struct {
	Added, Updated, Same int // devices
	Organisations, Sites int // made
	Links                int // new devices that may be known ones, see [Link]
	Errors               []LineError
	Done                 bool // it is in the estate
}

// errUndo rolls an import back that was only tried, or is not wanted.
var errUndo = errors.New("import is not kept")

// ImportInventory takes in organisations, sites and devices. Devices are known
// again as sightings are, see [Estate.Propose]; what the file says of a known
// one is added to it. State is "proposed" where the file says none; "adopted"
// goes through the [Gate], and a refusal is that record's error. A known device
// changes its state by an import in one way only, from proposed to adopted.
func (e *Estate) ImportInventory(ctx context.Context, inv Inventory, how Import) (DeviceReport, error) {
	var report DeviceReport
	err := e.tx(ctx, func(tx querier) error {
		in := &intake{Estate: e, tx: tx, how: how, report: &report, lines: map[DeviceID]int{}, ids: map[string]string{}}
		if err := in.run(ctx, inv); err != nil {
			return err
		}
		if how.DryRun || len(report.Errors) > 0 && !how.KeepGood {
			return errUndo
		}
		return nil
	})
	if err != nil && !errors.Is(err, errUndo) {
		return DeviceReport{}, fmt.Errorf("import devices from %q: %w", how.Source, err)
	}
	slices.SortStableFunc(report.Errors, func(a, b LineError) int { return a.Line - b.Line })
	report.Done = err == nil
	return report, nil
}

// intake is one import while it runs.
type intake struct {
	*Estate
	tx     querier
	how    Import
	report *DeviceReport

	organisations []Organisation
	sites         map[string]Site   // by ID, and by name in small letters after a "/"
	ids           map[string]string // IDs of the file that got others here
	lines         map[DeviceID]int  // which line a device was in
}

func (in *intake) run(ctx context.Context, inv Inventory) error {
	if err := in.load(ctx); err != nil {
		return err
	}
	for i, o := range inv.Organisations {
		if err := in.try(ctx, i+1, func() error { return in.takeOrganisation(ctx, o) }); err != nil {
			return err
		}
	}
	for i, s := range inv.Sites {
		if err := in.try(ctx, i+1, func() error { return in.takeSite(ctx, s) }); err != nil {
			return err
		}
	}
	for _, r := range inv.Records {
		if err := in.try(ctx, r.Line, func() error { return in.takeRecord(ctx, r) }); err != nil {
			return err
		}
	}
	return nil
}

func (in *intake) load(ctx context.Context) error {
	sites, err := selectSites(ctx, in.tx)
	if err != nil {
		return err
	}
	in.sites = map[string]Site{}
	for _, s := range sites {
		in.know(s)
	}
	in.organisations, err = selectOrganisations(ctx, in.tx)
	return err
}

func (in *intake) know(s Site) {
	in.sites[s.ID] = s
	in.sites["/"+strings.ToLower(s.Name)] = s
}

// try takes one record whole or not at all. It returns only what stops the
// import.
func (in *intake) try(ctx context.Context, line int, take func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := in.tx.ExecContext(ctx, `SAVEPOINT record`); err != nil {
		return err
	}
	before := *in.report
	made := len(in.organisations)
	err := take()
	if asInvalid(err) == nil && !errors.Is(err, ErrRefused) {
		if err == nil {
			_, err = in.tx.ExecContext(ctx, `RELEASE SAVEPOINT record`)
		}
		return err
	}
	if _, err := in.tx.ExecContext(ctx, `ROLLBACK TO SAVEPOINT record`); err != nil {
		return err
	}
	if in.report.Sites != before.Sites || len(in.organisations) != made {
		if err := in.load(ctx); err != nil {
			return err
		}
	}
	*in.report = before
	in.report.Errors = append(in.report.Errors, LineError{line, err})
	return nil
}

func (in *intake) takeOrganisation(ctx context.Context, o Organisation) error {
	o.Parent = or(in.ids["organisation "+o.Parent], o.Parent)
	for _, known := range in.organisations {
		if strings.EqualFold(known.Name, o.Name) && known.Parent == o.Parent {
			in.ids["organisation "+o.ID] = known.ID
			return nil
		}
	}
	made, err := in.addOrganisation(ctx, in.tx, o, in.how.By)
	if err != nil {
		return err
	}
	in.ids["organisation "+o.ID] = made.ID
	in.organisations = append(in.organisations, made)
	in.report.Organisations++
	return nil
}

func (in *intake) takeSite(ctx context.Context, s Site) error {
	s.Organisation = or(in.ids["organisation "+s.Organisation], s.Organisation)
	if known, ok := in.sites["/"+strings.ToLower(s.Name)]; ok {
		in.ids["site "+s.ID] = known.ID
		return nil
	}
	made, err := in.addSite(ctx, in.tx, s, in.how.By)
	if err != nil {
		return err
	}
	in.ids["site "+s.ID] = made.ID
	in.know(made)
	in.report.Sites++
	return nil
}

// place finds or makes the site that a record names.
func (in *intake) place(ctx context.Context, r Record) (string, error) {
	if r.Device.Site != "" {
		id := or(in.ids["site "+r.Device.Site], r.Device.Site)
		if _, known := in.sites[id]; !known {
			return "", invalid("site", "unknown", clip(r.Device.Site))
		}
		return id, nil
	}
	name := strings.Join(strings.Fields(r.SiteName), " ")
	organisation, err := in.organisation(ctx, r)
	if err != nil || name == "" {
		return "", err
	}
	s, known := in.sites["/"+strings.ToLower(name)]
	if !known {
		s, known = in.sites[name]
	}
	if known {
		if organisation != "" && s.Organisation != "" && s.Organisation != organisation {
			return "", invalid("organisation", "site-elsewhere", s.Name)
		}
		return s.ID, nil
	}
	s = Site{Name: name, Organisation: organisation, Class: r.SiteClass}
	if s.Class != "" && s.Class != Undetermined {
		s.ClassReason, s.ClassedBy, s.ClassedAt = "import "+in.how.Source, in.how.By, in.now().UTC()
	}
	if s, err = in.addSite(ctx, in.tx, s, in.how.By); err != nil {
		return "", err
	}
	in.know(s)
	in.report.Sites++
	return s.ID, nil
}

// organisation finds or makes the organisation that a record names.
func (in *intake) organisation(ctx context.Context, r Record) (string, error) {
	name := strings.Join(strings.Fields(r.OrganisationName), " ")
	if name == "" {
		return "", nil
	}
	for _, o := range in.organisations {
		if strings.EqualFold(o.Name, name) || o.ID == name {
			return o.ID, nil
		}
	}
	o, err := in.addOrganisation(ctx, in.tx, Organisation{Name: name, Body: r.Body}, in.how.By)
	if err != nil {
		return "", err
	}
	in.organisations = append(in.organisations, o)
	in.report.Organisations++
	return o.ID, nil
}

func (in *intake) takeRecord(ctx context.Context, r Record) error {
	d := r.Device
	var err error
	if d.Site, err = in.place(ctx, r); err != nil {
		return err
	}
	d.Camera, d.LastScan = "", "" // streams are no inventory's to give
	if d.Serial == "" {
		d.Serial = printable(d.Identification.Serial, maxSerial)
	}
	if d, err = checkNumbers(d); err != nil {
		return err
	}
	known, links, err := in.known(ctx, d)
	if err != nil {
		return err
	}
	if known != nil {
		if line := in.lines[known.ID]; line > 0 {
			return invalid("device", "same-line", fmt.Sprint(line))
		}
		in.lines[known.ID] = r.Line
		return in.update(ctx, *known, d, r.Evidence)
	}
	return in.add(ctx, d, r, links)
}

// known finds the device of a record: by its ID, when that is no other
// estate's, else as a sighting's.
func (in *intake) known(ctx context.Context, d Device) (*Device, []Link, error) {
	if d.ID != "" {
		known, err := oneDevice(ctx, in.tx, d.ID)
		if err == nil && sameDevice(known, d) {
			return &known, nil, nil
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, nil, err
		}
	}
	m, err := in.match(ctx, in.tx, d, "")
	return m.device, m.links, err
}

// sameDevice says that two devices with one ID are one: two estates may have
// given the same ID to different ones.
func sameDevice(known, said Device) bool {
	if contradiction(candidate{Device: known, by: BySerial}, said, "") != "" {
		return false
	}
	keys := keysOf(known)
	return known.Site == said.Site && known.Name == said.Name ||
		slices.ContainsFunc(keysOf(said), func(k key) bool { return slices.Contains(keys, k) })
}

func (in *intake) add(ctx context.Context, d Device, r Record, links []Link) error {
	if d.Name == "" && len(keysOf(d)) == 0 && d.Hostname == "" && d.Tag == "" {
		return invalid("device", "nothing-said", "")
	}
	d, err := in.insert(ctx, in.tx, d, in.how.By, "import "+in.how.Source)
	if err != nil {
		return err
	}
	if err := in.takeEvidence(ctx, in.tx, &d, Sighting{Evidence: r.Evidence}); err != nil {
		return err
	}
	for _, l := range links {
		l.Device, l.At = d.ID, in.now().UTC()
		if err := insertLink(ctx, in.tx, l); err != nil {
			return err
		}
	}
	in.report.Links += min(len(links), 1)
	in.report.Added++
	in.lines[d.ID] = r.Line
	return nil
}

// update adds to a known device what the file says of it.
func (in *intake) update(ctx context.Context, old, said Device, evidence []Evidence) error {
	d := old
	d.Name, d.Kind = or(strings.Join(strings.Fields(said.Name), " "), d.Name), Kind(or(string(said.Kind), string(d.Kind)))
	d.Addresses, d.MACs = mergeLists(d.Addresses, said.Addresses), mergeLists(d.MACs, said.MACs)
	for _, f := range []struct {
		into *string
		said string
	}{
		{&d.Serial, said.Serial},
		{&d.CertSHA256, said.CertSHA256},
		{&d.Hostname, said.Hostname},
		{&d.Purpose, said.Purpose},
		{&d.Tag, said.Tag},
		{(*string)(&d.Network), string(said.Network)},
		{(*string)(&d.Exposure), string(said.Exposure)},
	} {
		*f.into = or(f.said, *f.into)
	}
	if said.Cost > 0 {
		d.Cost, d.Currency = said.Cost, said.Currency
	}
	d.FirstSeen, d.LastSeen = earlier(d.FirstSeen, said.FirstSeen), later(d.LastSeen, said.LastSeen)
	d.Deployed = earlier(said.Deployed, d.Deployed)
	if said.Site != "" && d.State == Proposed {
		d.Site = said.Site
	}
	if said.State == Adopted && d.State == Proposed {
		d.State = Adopted
	}
	if said.Identification.Confidence.Rank() > d.Identification.Confidence.Rank() {
		d.Identification = said.Identification
	}
	if err := in.store(ctx, in.tx, old, &d, in.how.By, "import "+in.how.Source); err != nil {
		return err
	}
	if err := in.takeEvidence(ctx, in.tx, &d, Sighting{Evidence: evidence}); err != nil {
		return err
	}
	if slices.EqualFunc(deviceArgs(old), deviceArgs(d), func(a, b any) bool { return a == b }) {
		in.report.Same++
	} else {
		in.report.Updated++
	}
	return nil
}

// earlier is the earlier of two times that are known.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// All walks through a whole list, page by page, for exports. What changes
// meanwhile may be in it or not.
func (e *Estate) All(ctx context.Context, f Filter) iter.Seq2[Device, error] {
	return func(yield func(Device, error) bool) {
		f.Limit = MaxPage
		for {
			p, err := e.Devices(ctx, f)
			if err != nil {
				yield(Device{}, err)
				return
			}
			for _, d := range p.Devices {
				if !yield(d, nil) {
					return
				}
			}
			if f.After = p.Next; f.After == "" {
				return
			}
		}
	}
}
