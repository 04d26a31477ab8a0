package estate

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"unicode"
)

// By is what two sightings have in common.
type By string

// By what a device is known again. All but an address settle it.
const (
	ByMAC         By = "mac"
	BySerial      By = "serial"
	ByCertificate By = "certificate"
	ByAddress     By = "address"
)

func (b By) strong() bool { return b == ByMAC || b == BySerial || b == ByCertificate }

type key struct {
	kind  By
	value string
}

// keysOf returns by what a device is known again, strongest first.
func keysOf(d Device) []key {
	var keys []key
	for _, m := range d.MACs {
		if !placeholderMAC(m) {
			keys = append(keys, key{ByMAC, m})
		}
	}
	// A serial number counts within its maker only.
	maker := d.Identification.Maker
	if maker == "" {
		maker = strings.ToLower(d.Identification.Brand)
	}
	if serial := strings.ToUpper(strings.TrimSpace(d.Serial)); maker != "" && !placeholderSerial(serial) {
		keys = append(keys, key{BySerial, maker + " " + serial})
	}
	if d.CertSHA256 != "" {
		keys = append(keys, key{ByCertificate, d.CertSHA256})
	}
	for _, a := range d.Addresses {
		keys = append(keys, key{ByAddress, a.String()})
	}
	return keys
}

// placeholderMAC knows addresses that are no device's own: all zeros, groups,
// and the demonstration value of some firmware.
func placeholderMAC(m string) bool {
	return m == "00:00:00:00:00:00" || m == "00:11:22:33:44:55" || strings.ContainsRune("13579bdf", rune(m[1]))
}

// placeholderSerial knows what firmware writes where it has no number: too
// short, one character repeated, or counting up.
func placeholderSerial(s string) bool {
	if len(s) < 6 || strings.Trim(s, s[:1]) == "" || strings.HasPrefix("12345678901234567890", s) || strings.HasPrefix("01234567890123456789", s) {
		return true
	}
	return !strings.ContainsFunc(s, unicode.IsDigit)
}

// matched is what a sighting was recognised as.
type matched struct {
	device *Device // nil: as nothing that is known
	by     By
	value  string
	links  []Link // others that may be it, and why it is not taken for them
}

// match finds the device that seen is a sighting of. Strong keys join; what
// contradicts itself never does, and an address alone only when nothing
// stronger is known of either side that could contradict it.
func (e *Estate) match(ctx context.Context, q querier, seen Device, scan string) (matched, error) {
	var m matched
	keys := keysOf(seen)
	strong, err := candidates(ctx, q, keys, true)
	if err != nil {
		return m, err
	}
	strong = slices.DeleteFunc(strong, func(c candidate) bool {
		why := contradiction(c, seen, scan)
		if why != "" {
			m.links = append(m.links, Link{Other: c.ID, By: c.by, Value: c.value, Why: why})
		}
		return why != ""
	})
	if best, ok := pick(strong, seen); ok {
		m.device, m.by, m.value = &best.Device, best.by, best.value
		return m, nil
	}
	for _, c := range strong { // equally good: a person decides
		m.links = append(m.links, Link{Other: c.ID, By: c.by, Value: c.value, Why: "several"})
	}
	weak, err := candidates(ctx, q, keys, false)
	if err != nil {
		return m, err
	}
	if slices.ContainsFunc(keys, func(k key) bool { return k.kind.strong() }) {
		for _, c := range weak {
			if c.Site == seen.Site && !slices.ContainsFunc(m.links, func(l Link) bool { return l.Other == c.ID }) {
				m.links = append(m.links, Link{Other: c.ID, By: ByAddress, Value: c.value, Why: "address-only"})
			}
		}
		return m, nil
	}
	m.weak(weak, seen)
	return m, nil
}

// weak takes a sighting that has nothing but an address for the device that
// was last seen there, unless their makers differ.
func (m *matched) weak(found []candidate, seen Device) {
	found = slices.DeleteFunc(found, func(c candidate) bool { return c.Site != seen.Site || c.State == Removed })
	slices.SortStableFunc(found, func(a, b candidate) int { return b.LastSeen.Compare(a.LastSeen) })
	for _, c := range found {
		a, b := c.Identification, seen.Identification
		if a.Maker != "" && b.Maker != "" && a.Maker != b.Maker && a.Confidence.Rank() > 1 && b.Confidence.Rank() > 1 {
			m.links = append(m.links, Link{Other: c.ID, By: ByAddress, Value: c.value, Why: "maker-differs"})
			continue
		}
		m.device, m.by, m.value, m.links = &c.Device, ByAddress, c.value, nil
		return
	}
}

// candidate is a device that shares a key.
type candidate struct {
	Device
	by    By
	value string
	hits  int
}

func candidates(ctx context.Context, q querier, keys []key, strong bool) ([]candidate, error) {
	var found []candidate
	for _, k := range keys {
		if k.kind.strong() != strong {
			continue
		}
		ids, err := devicesByKey(ctx, q, k)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if i := slices.IndexFunc(found, func(c candidate) bool { return c.ID == id }); i >= 0 {
				found[i].hits++
				continue
			}
			d, err := oneDevice(ctx, q, id)
			if err != nil {
				return nil, err
			}
			found = append(found, candidate{Device: d, by: k.kind, value: k.value, hits: 1})
		}
	}
	return found, nil
}

// maxClaimants bounds how many devices with one key are looked at: a factory's
// certificate may be in thousands.
const maxClaimants = 8

func devicesByKey(ctx context.Context, q querier, k key) ([]DeviceID, error) {
	rows, err := q.QueryContext(ctx, `SELECT device FROM estate_keys WHERE kind = $1 AND value = $2 ORDER BY device LIMIT $3`, string(k.kind), k.value, maxClaimants)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []DeviceID
	for rows.Next() {
		var id DeviceID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// contradiction says why a device that shares a strong key is not the one that
// was seen, or "".
func contradiction(c candidate, seen Device, scan string) string {
	known, new := keysOf(c.Device), keysOf(seen)
	serial := func(keys []key) string {
		for _, k := range keys {
			if k.kind == BySerial {
				return k.value
			}
		}
		return ""
	}
	if a, b := serial(known), serial(new); a != "" && b != "" && a != b && sameMaker(c.Device, seen) {
		return "serial-differs"
	}
	share := func(m string) bool { return slices.Contains(c.MACs, m) }
	if c.by != ByMAC && len(c.MACs) > 0 && len(seen.MACs) > 0 && !slices.ContainsFunc(seen.MACs, share) {
		return "mac-differs"
	}
	// A factory may have given one certificate to thousands.
	if c.by == ByCertificate && c.Site != seen.Site {
		return "other-site"
	}
	// One scan met both: a proxy answers for many, or two claim one number.
	if scan != "" && c.LastScan == scan && apart(c.Addresses, seen.Addresses) {
		return "both-present"
	}
	return ""
}

func sameMaker(a, b Device) bool {
	x, y := a.Identification, b.Identification
	return x.Maker == y.Maker && (x.Maker != "" || strings.EqualFold(x.Brand, y.Brand))
}

// apart says that both have addresses of one family and share none.
func apart(a, b []netip.Addr) bool {
	family := false
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return false
			}
			family = family || x.Is4() == y.Is4()
		}
	}
	return family
}

// pick returns the candidate with the most keys in common; of equals, the one
// at the same address.
func pick(found []candidate, seen Device) (candidate, bool) {
	best := func(score func(candidate) int) []candidate {
		var top []candidate
		most := -1
		for _, c := range found {
			switch s := score(c); {
			case s > most:
				top, most = []candidate{c}, s
			case s == most:
				top = append(top, c)
			}
		}
		return top
	}
	found = best(func(c candidate) int { return c.hits })
	if len(found) > 1 {
		found = best(func(c candidate) int {
			if slices.ContainsFunc(c.Addresses, func(a netip.Addr) bool { return slices.Contains(seen.Addresses, a) }) {
				return 1
			}
			return 0
		})
	}
	if len(found) != 1 {
		return candidate{}, false
	}
	return found[0], true
}

// maxWords bounds by how many words a device is found.
const maxWords = 32

// wordsOf are the words by which a person looks for a device.
func wordsOf(d Device) []string {
	i := d.Identification
	text := strings.Join([]string{d.Name, d.Hostname, d.Tag, i.Brand, i.MakerName, i.Maker, i.Model, d.Camera}, " ")
	words := splitWords(text)
	for _, whole := range append([]string{d.Serial, d.Hostname, d.Tag, i.Model, string(d.ID)}, d.MACs...) {
		if whole != "" {
			words = append(words, strings.ToLower(cut(whole, maxSerial)))
		}
	}
	for _, a := range d.Addresses {
		words = append(words, a.String())
	}
	slices.Sort(words)
	words = slices.Compact(words)
	return words[:min(len(words), maxWords)]
}

// splitWords cuts a text at everything that is neither letter nor digit.
func splitWords(text string) []string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	return slices.DeleteFunc(words, func(w string) bool { return len(w) < 2 })
}
