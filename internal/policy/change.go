package policy

import (
	"slices"
	"strings"
	"time"
)

// changes says what would make a verdict another one: for one that asks
// something, what would lift it; for one that asks nothing, what would bring it;
// for an open one, what would settle it. An empty force is one that nobody
// worked out.
func (j *judging) changes(cl *Clause, now Force, reasons []Reason, force Force) []Change {
	var stand []Reason // in the way of force
	for _, r := range reasons {
		if r.Holds == No || now == Undetermined && r.Holds == NotKnown {
			stand = append(stand, r)
		}
	}
	if len(stand) == 0 {
		return j.lifts(cl, reasons)
	}
	alone := len(stand) == 1 && !slices.ContainsFunc(reasons, func(r Reason) bool { return r.Holds == NotKnown && r.Code != stand[0].Code })
	var out []Change
	for _, r := range stand {
		change := j.change(cl, r)
		if change.Code == "" {
			continue
		}
		if alone && r.Holds == No {
			change.Then = force
		}
		out = append(out, change)
	}
	return out
}

// change is the way out of one condition.
func (j *judging) change(cl *Clause, r Reason) Change {
	switch r.Code {
	case "not-yet-in-force":
		return Change{Code: "date-after", Args: r.Args}
	case "ended", "superseded":
		return Change{Code: "date-before", Args: r.Args}
	case "unverified":
		return Change{Code: "verify-rule"}
	case "body-not-given", "body-unknown":
		return Change{Code: "give-body", Args: args("known", r.Args["known"])}
	case "body-not-addressed":
		return Change{Code: "body", Args: args("bodies", j.c.names(cl))}
	case "equipment-unknown":
		return Change{Code: "give-kind", Args: r.Args}
	case "equipment-open":
		return Change{Code: "settle-kind", Args: r.Args}
	case "site-undetermined":
		return Change{Code: "class-site", Args: r.Args}
	case "site-other":
		return Change{Code: "site", Args: args("site", r.Args["want"])}
	case "purpose-unknown", "purpose-other":
		return Change{Code: "purpose", Args: r.Args}
	case "network-unknown":
		return Change{Code: "give-network"}
	case "maker-unknown", "badge-only", "evidence-short":
		return Change{Code: "identify", Args: args("want", r.Args["want"])}
	case "maker-not-in-graph":
		return Change{Code: "describe-maker", Args: r.Args}
	case "needs-decision", "needs-decision-2", "needs-decision-5":
		return Change{Code: "decide", Args: args("maker", j.cs.Maker, "law", r.Args["law"])}
	case "maker-unverified", "seat-unverified", "affiliate-unverified":
		return Change{Code: "verify-maker", Args: args("maker", j.maker.Name)}
	case "certificate-unknown":
		return Change{Code: "give-certificate"}
	case "fact-unknown":
		return Change{Code: "give-fact", Args: r.Args}
	case "subject-no", "named-no", "match-no", "decided-no":
		return Change{Code: "other-maker", Args: args("maker", j.maker.Name)}
	}
	return Change{} // nothing that anybody could change here
}

// lifts are single changes after which the clause would ask nothing.
func (j *judging) lifts(cl *Clause, reasons []Reason) []Change {
	var out []Change
	for _, r := range reasons {
		switch r.Code {
		case "site":
			for _, class := range []SiteClass{SiteSensitive, SiteOrdinary} {
				if !slices.Contains(cl.Site, string(class)) {
					out = append(out, Change{Code: "site", Args: args("site", string(class)), Then: None})
				}
			}
		case "purpose":
			out = append(out, Change{Code: "purpose-without", Args: args("want", strings.Join(cl.Purposes, ", ")), Then: None})
		case "network-core":
			out = append(out, Change{Code: "isolate"})
		case "decided-yes":
			out = append(out, Change{Code: "decide-anew", Args: args("maker", j.cs.Maker, "law", r.Args["law"]), Then: None})
		case "subject-yes", "subject-yes-1", "subject-yes-3", "named-yes", "affiliate-yes", "match-yes":
			out = append(out, Change{Code: "identify-other", Then: None})
		case "in-force":
			out = append(out, Change{Code: "date-before-since", Args: args("since", cl.since.Format(time.DateOnly)), Then: None})
		}
	}
	return out
}

// names lists the bodies that a clause addresses.
func (c *Catalogue) names(cl *Clause) string {
	var ids []string
	for _, b := range c.header.Bodies {
		if cl.obliged[b.ID] || cl.follow[b.ID] {
			ids = append(ids, b.ID)
		}
	}
	return strings.Join(ids, ", ")
}
