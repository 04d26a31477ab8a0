package know

import (
	"slices"
	"time"

	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify/makers"
	"github.com/watchward/watchward/internal/policy"
)

// chain is the way from what was seen to what is asked, a station a thing:
// "why is this camera on the list?" is answered by reading it upwards.
type chain struct {
	Signs     []sign // what was seen, and what it says
	Against   []sign // what points to another maker
	Ignored   []sign // false friends: seen, listed, and counted for nothing
	Badge     string
	Maker     string
	MakerID   string
	SoldAs    bool
	BadgeOnly bool
	Sure      estate.Confidence
	Owners    []ownerView
	Seat      string // jurisdiction's code
	SeatKnown bool   // somebody verified it
	Laws      []lawView
	Gravest   *verdictView // the strongest thing asked
	Force     policy.Force
}

// sign is a piece of evidence with the fingerprint that recognised it.
type sign struct {
	estate.Reason
	Kind string
	Port int
	At   time.Time
	From string // who saw it
}

// ownerView is who controls the maker.
type ownerView struct {
	makers.Maker
	Depth int
}

// lawView says whether the maker is subject to a law that rules point to.
type lawView struct {
	Law *policy.Restriction
	makers.Subjection
}

// Reached is the last station with something to say, for the line that joins
// them: "seen", "maker", "owner", "asked".
func (c chain) Reached() string {
	switch {
	case c.Gravest != nil:
		return "asked"
	case c.MakerID != "":
		return "maker"
	}
	return "seen"
}

func (k *Know) chain(d deviceData, evidence []estate.Evidence) chain {
	i := d.Device.Identification
	c := chain{
		Badge: i.Brand, Maker: i.MakerName, MakerID: i.Maker, SoldAs: d.SoldAs(), BadgeOnly: i.BadgeOnly, Sure: i.Confidence,
		Force: policy.None,
	}
	by := map[string]estate.Evidence{}
	for _, e := range evidence {
		by[e.ID] = e
	}
	for _, reason := range i.Because {
		e := by[reason.Evidence]
		s := sign{reason, e.Kind, e.Port, e.At, e.Source}
		if reason.Grade == falseFriend {
			c.Ignored = append(c.Ignored, s)
		} else {
			c.Signs = append(c.Signs, s)
		}
	}
	for _, reason := range i.Conflicts {
		e := by[reason.Evidence]
		c.Against = append(c.Against, sign{reason, e.Kind, e.Port, e.At, e.Source})
	}
	if i.Maker != "" {
		k.addMaker(&c, i, d.On)
	}
	if len(d.Asked) > 0 {
		c.Gravest, c.Force = &d.Asked[0], d.Asked[0].Force
	} else if len(d.Open) > 0 {
		c.Gravest, c.Force = &d.Open[0], policy.Undetermined
	}
	return c
}

// falseFriend is the grade of what looks like a maker's and is not.
const falseFriend = "F"

// maxOwners bounds how far up a group is drawn.
const maxOwners = 4

func (k *Know) addMaker(c *chain, i estate.Identification, on time.Time) {
	m, ok := k.o.Makers.Maker(i.Maker)
	if !ok {
		return
	}
	c.Maker, c.Seat, c.SeatKnown = m.Name, m.Jurisdiction, m.Verified
	at, seen := m.ID, []string{m.ID}
	for range maxOwners {
		owners := k.o.Makers.Owners(at, on)
		if len(owners) == 0 || slices.Contains(seen, owners[0].Owner) {
			break
		}
		owner, ok := k.o.Makers.Maker(owners[0].Owner)
		if !ok {
			break
		}
		c.Owners = append(c.Owners, ownerView{owner, len(c.Owners) + 1})
		at, seen = owner.ID, append(seen, owner.ID)
	}
	for _, law := range k.rules().Laws() {
		l, ok := k.rules().Restriction(law)
		if !ok {
			continue
		}
		c.Laws = append(c.Laws, lawView{l, k.o.Makers.SubjectDevice(i.Brand, i.Maker, law, on)})
	}
}
