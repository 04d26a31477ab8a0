package policy

// SiteClass is what rules tell sites apart by.
type SiteClass string

// The classes. A site nobody has classed is undetermined.
const (
	SiteUndetermined SiteClass = "undetermined"
	SiteSensitive    SiteClass = "sensitive"
	SiteOrdinary     SiteClass = "ordinary"
)
