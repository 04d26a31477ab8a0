// Package scenes holds the drawn pictures that the town's cameras show, and the
// list of when something moves in them.
//
// Each scene is a loop in two files, NAME-main and NAME-sub. They are drawn by
// the program in draw (see there for how to draw them anew) and committed, so
// that nobody needs ffmpeg to run the town.
package scenes

import "embed"

// Media holds the files media/NAME-main.* and media/NAME-sub.*.
//
//go:embed media
var Media embed.FS
