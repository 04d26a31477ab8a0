package access

import (
	"context"
	"slices"
)

// Role is a bundle of acts that people of one job need.
type Role string

// The roles.
const (
	Viewer        Role = "viewer"        // watches, live and recorded
	Operator      Role = "operator"      // and sets cameras up, scans, adopts devices
	Investigator  Role = "investigator"  // watches, exports, holds
	Auditor       Role = "auditor"       // reads everything but pictures
	Administrator Role = "administrator" // everything
)

// Roles lists them as a person should choose from them.
func Roles() []Role { return []Role{Viewer, Operator, Investigator, Auditor, Administrator} }

// Act is something a person wants to do somewhere.
type Act string

// The acts. Reading comes first.
const (
	SeeLive       Act = "see-live"       // pictures as they come
	SeeRecorded   Act = "see-recorded"   // sealed video and sealed day keys
	SeeEstate     Act = "see-estate"     // devices, findings, plans
	SeeArchive    Act = "see-archive"    // what is kept, gaps, health: no pictures
	SeeLog        Act = "see-log"        // who did what
	Export        Act = "export"         // take a clip out
	Hold          Act = "hold"           // keep recordings beyond their time
	ChangeCameras Act = "change-cameras" // add, edit, remove; their passwords
	ChangeEstate  Act = "change-estate"  // scan, adopt, move, class a site
	Waive         Act = "waive"          // let a device stand against a restriction
	ChangeArchive Act = "change-archive" // retention, and who can open a site's recordings
	ChangeUsers   Act = "change-users"   // accounts and their roles
)

// rights is what each role may do where it was given. An administrator may do
// everything: he gives himself every right anyway, and is told on by the log.
var rights = map[Role][]Act{
	Viewer:       {SeeLive, SeeRecorded, SeeArchive},
	Operator:     {SeeLive, SeeRecorded, SeeArchive, SeeEstate, ChangeCameras, ChangeEstate},
	Investigator: {SeeLive, SeeRecorded, SeeArchive, SeeEstate, Export, Hold},
	Auditor:      {SeeEstate, SeeArchive, SeeLog},
}

// everyAct is in the order of the constants.
var everyAct = []Act{
	SeeLive, SeeRecorded, SeeEstate, SeeArchive, SeeLog, Export, Hold,
	ChangeCameras, ChangeEstate, Waive, ChangeArchive, ChangeUsers,
}

// Acts lists what a role may do.
func (r Role) Acts() []Act {
	if r == Administrator {
		return slices.Clone(everyAct)
	}
	return slices.Clone(rights[r])
}

func (r Role) may(act Act) bool {
	return r == Administrator || slices.Contains(rights[r], act)
}

// Scope is where a role holds: one site, one organisation with all below it,
// or, when zero, everywhere.
type Scope struct {
	Organisation string `json:"organisation,omitempty"`
	Site         string `json:"site,omitempty"`
}

// Grant is a role given to somebody somewhere.
type Grant struct {
	Role Role `json:"role"`
	Scope
}

// Place is where an act is to happen: a site, and the organisations it belongs
// to, its own first. The zero Place is the whole installation, which only a role
// given everywhere covers.
type Place struct {
	Site          string
	Organisations []string
}

// Above knows which organisations a site belongs to: estate does.
type Above interface {
	Above(ctx context.Context, site string) ([]string, error)
}

// At is the place of a site.
func At(ctx context.Context, above Above, site string) (Place, error) {
	organisations, err := above.Above(ctx, site)
	return Place{Site: site, Organisations: organisations}, err
}

// covers reports whether a place lies within the scope.
func (s Scope) covers(p Place) bool {
	switch {
	case s.Site != "":
		return s.Site == p.Site
	case s.Organisation != "":
		return slices.Contains(p.Organisations, s.Organisation)
	}
	return true
}

// May answers the one question: may this user do this here? A user who is
// nobody, or shut out, may nothing. What a token was not made for, its bearer
// may not do either, whatever his roles.
func May(u User, act Act, at Place) bool {
	return u.admits(act) && slices.ContainsFunc(u.Grants, func(g Grant) bool { return g.Role.may(act) && g.covers(at) })
}

// MayAnywhere reports whether there is a place where the user may: whether a
// page is worth showing. It is no answer to [May].
func MayAnywhere(u User, act Act) bool {
	return u.admits(act) && slices.ContainsFunc(u.Grants, func(g Grant) bool { return g.Role.may(act) })
}

func (u User) admits(act Act) bool {
	return u.ID != "" && !u.Closed && (u.only == nil || slices.Contains(u.only, act))
}
