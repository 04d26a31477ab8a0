package policy

import "github.com/watchward/watchward/internal/estate"

// SiteClass is what rules tell sites apart by.
type SiteClass = estate.SiteClass

// The classes. A site nobody has classed is undetermined.
const (
	SiteUndetermined = estate.Undetermined
	SiteSensitive    = estate.Sensitive
	SiteOrdinary     = estate.Ordinary
)

// Network is what a device is connected to.
type Network = estate.Network

// The networks that rules tell apart.
const (
	NetworkUnknown  = estate.NetworkUnknown
	NetworkCore     = estate.NetworkCore
	NetworkIsolated = estate.NetworkIsolated
)
