package estate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// Sighting is what a scan saw at one place.
type Sighting struct {
	Addresses      []netip.Addr
	MACs           []string // evidence of kind "mac" counts as well
	Serial         string   // "": that of the identification
	CertSHA256     string   // of its TLS certificate, hexadecimal
	Hostname       string
	Evidence       []Evidence
	Identification Identification
	At             time.Time // zero: now
}

// Outcome is what became of a sighting.
type Outcome struct {
	Device DeviceID `json:"device"`
	What   string   `json:"what"`            // "new", "seen", "moved" (another address), "back" (had been removed)
	By     By       `json:"by,omitempty"`    // by what it was known again
	Value  string   `json:"value,omitempty"` // the MAC address, serial number, certificate or address
	Links  []Link   `json:"links,omitempty"` // others that it may be
	Err    error    `json:"-"`               // an [Invalid]; then nothing was stored
}

// Link says that two devices may be one, by what, and why they were not
// joined. Why is "serial-differs", "mac-differs", "both-present" (one scan met
// both), "other-site", "several" (more than one would fit), "address-only" or
// "maker-differs".
type Link struct {
	Device DeviceID  `json:"device"`
	Other  DeviceID  `json:"other"`
	By     By        `json:"by"`
	Value  string    `json:"value"`
	Why    string    `json:"why"`
	At     time.Time `json:"at,omitzero"`
}

// Propose takes what a scan saw. A sighting of a known device, by MAC address,
// serial number or certificate, adds to it; anything else becomes a proposal,
// with links to what it may be. An address alone joins only a sighting that has
// nothing else. Nothing is adopted. One outcome for each sighting, in order.
func (e *Estate) Propose(ctx context.Context, scan string, sightings []Sighting) ([]Outcome, error) {
	outcomes := make([]Outcome, len(sightings))
	err := e.tx(ctx, func(tx querier) error {
		s, err := oneScan(ctx, tx, scan)
		if err != nil {
			return err
		}
		for i, seen := range sightings {
			outcomes[i], err = e.propose(ctx, tx, s, seen)
			if inv := asInvalid(err); inv != nil {
				outcomes[i].Err = inv
			} else if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("propose what scan %q saw: %w", scan, err)
	}
	return outcomes, nil
}

func (e *Estate) propose(ctx context.Context, tx querier, scan Scan, seen Sighting) (Outcome, error) {
	d := e.deviceOf(scan, seen)
	if len(keysOf(d)) == 0 {
		return Outcome{}, invalid("addresses", "missing", "")
	}
	if _, err := checkDevice(ctx, tx, d); err != nil {
		return Outcome{}, err // before anything is written: the others go on
	}
	m, err := e.match(ctx, tx, d, scan.ID)
	if err != nil {
		return Outcome{}, err
	}
	why := "scan " + scan.ID
	if m.device != nil {
		return e.refresh(ctx, tx, m, d, seen, scan.By, why)
	}
	added, err := e.insert(ctx, tx, d, scan.By, why)
	if err != nil {
		return Outcome{}, err
	}
	if err := e.takeEvidence(ctx, tx, &added, seen); err != nil {
		return Outcome{}, err
	}
	for i := range m.links {
		m.links[i].Device, m.links[i].At = added.ID, d.LastSeen
		if err := insertLink(ctx, tx, m.links[i]); err != nil {
			return Outcome{}, err
		}
	}
	return Outcome{Device: added.ID, What: "new", Links: m.links}, nil
}

// deviceOf is the device that a sighting would make.
func (e *Estate) deviceOf(scan Scan, seen Sighting) Device {
	d := Device{
		Site: scan.Site, State: Proposed, Kind: seen.Identification.Kind, Addresses: seen.Addresses, CertSHA256: seen.CertSHA256,
		Serial: printable(seen.Serial, maxSerial), Hostname: printable(seen.Hostname, maxSerial),
		Identification: cleanIdentification(seen.Identification), LastSeen: seen.At.UTC(), LastScan: scan.ID,
	}
	if d.Serial == "" {
		d.Serial = printable(d.Identification.Serial, maxSerial)
	}
	if seen.At.IsZero() {
		d.LastSeen = e.now().UTC()
	}
	d.FirstSeen = d.LastSeen
	macs := slices.Clone(seen.MACs)
	for _, ev := range seen.Evidence {
		if ev.Kind == "mac" {
			macs = append(macs, ev.Value)
		}
	}
	for _, m := range macs {
		// What a device says is no reason to lose the sighting.
		if clean, err := CleanMAC(cut(m, 64)); err == nil && len(d.MACs) < maxAddresses && !slices.Contains(d.MACs, clean) {
			d.MACs = append(d.MACs, clean)
		}
	}
	slices.Sort(d.MACs)
	d.Name = described(d)
	return d
}

// refresh adds a sighting to the device it is one of.
func (e *Estate) refresh(ctx context.Context, tx querier, m matched, seen Device, s Sighting, by, why string) (Outcome, error) {
	old := *m.device
	d := old
	out := Outcome{Device: d.ID, What: "seen", By: m.by, Value: m.value}
	if old.State == Removed {
		// It hangs again: somebody must say whether it may.
		d.State, d.Removed, d.WhyRemoved, d.Adopted = Proposed, time.Time{}, "", time.Time{}
		out.What = "back"
	}
	if m.by.strong() && len(seen.Addresses) > 0 && !slices.Equal(old.Addresses, seen.Addresses) {
		if apart(old.Addresses, seen.Addresses) {
			d.Addresses = nil
			if out.What == "seen" {
				out.What = "moved"
			}
		}
		d.Addresses = mergeLists(d.Addresses, seen.Addresses)
	}
	if m.by.strong() {
		d.MACs = mergeLists(d.MACs, seen.MACs)
		d.Serial, d.CertSHA256 = or(d.Serial, seen.Serial), or(seen.CertSHA256, d.CertSHA256)
	}
	if d.State != Adopted && d.Site == "" {
		d.Site = seen.Site
	}
	d.Hostname, d.Kind = or(seen.Hostname, d.Hostname), Kind(or(string(d.Kind), string(seen.Kind)))
	d.LastScan = seen.LastScan
	if seen.LastSeen.After(d.LastSeen) {
		d.LastSeen = seen.LastSeen
	}
	ids, err := keepEvidence(ctx, tx, d.ID, s.Evidence, e.now())
	if err != nil {
		return out, err
	}
	// A scan that saw less than one before does not unlearn.
	if seen.Identification.Confidence.Rank() >= old.Identification.Confidence.Rank() && len(s.Evidence) > 0 {
		d.Identification = cite(seen.Identification, ids)
	}
	return out, e.store(ctx, tx, old, &d, by, why+", known by "+string(m.by))
}

// takeEvidence stores a new device's evidence and lets its reasons cite it.
func (e *Estate) takeEvidence(ctx context.Context, tx querier, d *Device, seen Sighting) error {
	ids, err := keepEvidence(ctx, tx, d.ID, seen.Evidence, e.now())
	if err != nil || len(ids) == 0 {
		return err
	}
	d.Identification = cite(d.Identification, ids)
	_, err = tx.ExecContext(ctx, `UPDATE estate_devices SET identification = $2 WHERE id = $1`, string(d.ID), encode(d.Identification))
	return err
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func mergeLists[T comparable](a, b []T) []T {
	out := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(out, x) && len(out) < maxAddresses {
			out = append(out, x)
		}
	}
	return out
}

// Bounds of a device's evidence: what was seen last of each kind and port stays,
// and so many older ones.
const (
	maxValue          = 64 << 10 // bytes
	maxEvidenceNewest = 128
	maxEvidenceOlder  = 64
)

// Evidence returns what was seen of a device, newest first; with all, also
// what later evidence of the same kind and port replaced.
func (e *Estate) Evidence(ctx context.Context, id DeviceID, all bool) ([]Evidence, error) {
	evidence, err := selectEvidence(ctx, pool{e.db}, id, all)
	if err != nil {
		return nil, fmt.Errorf("evidence of device %q: %w", id, err)
	}
	return evidence, nil
}

func selectEvidence(ctx context.Context, q querier, id DeviceID, all bool) ([]Evidence, error) {
	rows, err := q.QueryContext(ctx, `SELECT id, kind, port, value, login, at, source FROM estate_evidence
		WHERE device = $1 AND newest >= $2 ORDER BY at DESC, kind, port, id`, string(id), 1-number(all))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []Evidence
	for rows.Next() {
		var ev Evidence
		var value []byte
		var login, at int64
		if err := rows.Scan(&ev.ID, &ev.Kind, &ev.Port, &value, &login, &at, &ev.Source); err != nil {
			return nil, err
		}
		ev.Value, ev.Login, ev.At = string(value), login != 0, moment(at)
		found = append(found, ev)
	}
	return found, rows.Err()
}

// keepEvidence stores evidence under IDs made of what it is, so that the same
// seen twice is one row, and returns the new ID of each given one.
func keepEvidence(ctx context.Context, q querier, id DeviceID, evidence []Evidence, now time.Time) (map[string]string, error) {
	ids := map[string]string{}
	var named []Evidence
	for _, ev := range evidence {
		ev.Value, ev.Kind, ev.Source = cut8(ev.Value, maxValue), printable(ev.Kind, 64), printable(ev.Source, maxSaid)
		if ev.Kind == "" || ev.Port < 0 || ev.Port > 65535 {
			continue
		}
		if ev.At.IsZero() {
			ev.At = now
		}
		sum := sha256.Sum256([]byte(ev.Kind + "\x00" + strconv.Itoa(ev.Port) + "\x00" + ev.Value))
		given := ev.ID
		ev.ID = hex.EncodeToString(sum[:8])
		ids[given] = ev.ID
		named = append(named, ev)
	}
	if len(named) == 0 {
		return ids, nil
	}
	if err := upsertSeen(ctx, q, id, named); err != nil {
		return nil, err
	}
	return ids, forgetEvidence(ctx, q, id)
}

// cut8 cuts bytes that need not be text.
func cut8(s string, n int) string { return s[:min(len(s), n)] }

// upsertSeen stores what was seen together. It replaces what was seen before of
// the same kinds and ports, and nothing of itself: a device gives several answers
// at one port, and a conclusion may cite each.
func upsertSeen(ctx context.Context, q querier, id DeviceID, seen []Evidence) error {
	type place struct {
		kind string
		port int
	}
	last := map[place]time.Time{}
	for _, ev := range seen {
		if at := (place{ev.Kind, ev.Port}); ev.At.After(last[at]) {
			last[at] = ev.At
		}
	}
	for at, t := range last {
		_, err := q.ExecContext(ctx, `UPDATE estate_evidence SET newest = 0 WHERE device = $1 AND kind = $2 AND port = $3 AND at <= $4`,
			string(id), at.kind, at.port, micro(t))
		if err != nil {
			return err
		}
	}
	for _, ev := range seen {
		if err := upsertEvidence(ctx, q, id, ev, last[place{ev.Kind, ev.Port}]); err != nil {
			return err
		}
	}
	return nil
}

// upsertEvidence stores one piece, as one of the newest unless something later
// than last is there.
func upsertEvidence(ctx context.Context, q querier, id DeviceID, ev Evidence, last time.Time) error {
	_, err := q.ExecContext(ctx, `INSERT INTO estate_evidence (device, id, kind, port, value, login, at, source, newest)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8, CASE WHEN count(*) = 0 THEN 1 ELSE 0 END
			FROM estate_evidence WHERE device = $1 AND kind = $3 AND port = $4 AND newest = 1 AND at > $9
		ON CONFLICT (device, id) DO UPDATE SET at = excluded.at, source = excluded.source, login = excluded.login, newest = excluded.newest
			WHERE excluded.at >= estate_evidence.at`,
		string(id), ev.ID, ev.Kind, ev.Port, []byte(ev.Value), number(ev.Login), micro(ev.At), ev.Source, micro(last))
	return err
}

// forgetEvidence drops what is beyond the bounds, oldest first.
func forgetEvidence(ctx context.Context, q querier, id DeviceID) error {
	for _, bound := range []struct{ newest, keep int }{{1, maxEvidenceNewest}, {0, maxEvidenceOlder}} {
		_, err := q.ExecContext(ctx, `DELETE FROM estate_evidence WHERE device = $1 AND newest = $2 AND id NOT IN
			(SELECT id FROM estate_evidence WHERE device = $1 AND newest = $2 ORDER BY at DESC, id LIMIT $3)`,
			string(id), bound.newest, bound.keep)
		if err != nil {
			return err
		}
	}
	return nil
}

// cite gives an identification's reasons the stored IDs of their evidence.
func cite(i Identification, ids map[string]string) Identification {
	i = cleanIdentification(i)
	for _, list := range [][]Reason{i.Because, i.Conflicts} {
		for k := range list {
			if id := ids[list[k].Evidence]; id != "" {
				list[k].Evidence = id
			}
		}
	}
	return i
}
