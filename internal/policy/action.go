package policy

import "time"

// Action is what a clause asks for.
type Action string

// The actions. A new one needs a line in [actions], a text in texts.yaml and a
// reason to exist: its name is a contract.
const (
	NoNewDeploy        Action = "no-new-deploy"
	NoPurchase         Action = "no-purchase"
	NoUse              Action = "no-use"
	NotOnCoreNetwork   Action = "not-on-core-network"
	Remove             Action = "remove"
	Replace            Action = "replace"
	PhaseOut           Action = "phase-out"
	ConsiderRemoval    Action = "consider-removal"
	ConsiderExtending  Action = "consider-extending"
	Review             Action = "review"
	Report             Action = "report"
	NoNewAuthorisation Action = "no-new-authorisation"
	NoUncertified      Action = "no-uncertified"
	ExcludeSupplier    Action = "exclude-supplier"
	ExportLicence      Action = "export-licence"
)

// breaks says how a device on a site can go against an action.
type breaks int

const (
	never     breaks = iota // it is asked of acts that are no device's
	byComing                // by being put there once the clause is in force
	byBeing                 // by being there, once it is due
	byStaying               // by being there already; a new device is another clause's
	byNetwork               // by being on the core network
)

var actions = map[Action]breaks{
	NoNewDeploy: byComing, NoPurchase: byComing, NoUncertified: byComing,
	NoUse: byBeing, Remove: byBeing, Replace: byBeing,
	PhaseOut: byStaying, ConsiderRemoval: byStaying, Review: byStaying, Report: byStaying,
	NotOnCoreNetwork:  byNetwork,
	ConsiderExtending: never, NoNewAuthorisation: never, ExcludeSupplier: never, ExportLicence: never,
}

// presence is how a device stands to the day of a case.
type presence struct {
	network  Network
	isNew    bool
	unknown  bool // it is there, and since when is not known
	deployed time.Time
	on       time.Time
}

// broken says whether the device goes against the clause now.
func (c *Clause) broken(p presence) bool {
	switch actions[c.Action] {
	case byComing:
		return p.isNew || !p.unknown && !p.deployed.Before(c.since)
	case byBeing:
		return c.Due.IsZero() || p.isNew || p.on.After(c.Due.Time)
	case byStaying:
		return !p.isNew
	case byNetwork:
		return p.network == NetworkCore
	}
	return false
}

// Force is how strongly something is asked.
type Force string

// From nothing to must; and not knowing, which is none of them.
const (
	None         Force = "none"
	May          Force = "may"
	Should       Force = "should"
	Must         Force = "must"
	Undetermined Force = "undetermined"
)

// Rank orders forces for whoever lists the gravest first. Not knowing stands
// between may and should: it may turn out to be a must.
func (f Force) Rank() int {
	switch f {
	case Must:
		return 4
	case Should:
		return 3
	case Undetermined:
		return 2
	case May:
		return 1
	}
	return 0
}
