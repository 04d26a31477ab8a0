// Package scenes holds the drawn pictures that the town's cameras show, and the
// list of when something moves in them.
//
// Each scene is a loop in two files, NAME-main and NAME-sub, 15 frames a second.
// They are drawn and encoded by the program in folder draw, on the machine of
// whoever changes a scene, and committed: nobody needs ffmpeg to run the town.
//
//	cd internal/simulate/scenes/draw && go run . -out ../media -list ../movement.csv
package scenes

import (
	"embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Media holds the files media/NAME-main.* and media/NAME-sub.*.
//
//go:embed media
var Media embed.FS

//go:embed movement.csv
var movement string

// Movement is a stretch of a scene's loop in which something moves, or nothing does.
type Movement struct {
	Scene      string
	Start, End time.Duration // from the loop's beginning
	// Label is "motion", "minor" for what may count or not (water, a flag), or
	// "none" where no motion is; "motion" rows may overlap, "minor" rows lie over others.
	Label string
	What  string
}

// Movements reads movement.csv. The burned-in clock changes all the time and
// is not listed.
func Movements() ([]Movement, error) {
	rows, err := csv.NewReader(strings.NewReader(movement)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read movement list: %w", err)
	}
	var out []Movement
	for i, r := range rows[1:] {
		start, err1 := strconv.ParseFloat(r[1], 64)
		end, err2 := strconv.ParseFloat(r[2], 64)
		if err1 != nil || err2 != nil || end <= start {
			return nil, fmt.Errorf("movement list, row %d: %q to %q: want two times in order", i+2, r[1], r[2])
		}
		out = append(out, Movement{r[0], seconds(start), seconds(end), r[3], r[4]})
	}
	return out, nil
}

func seconds(v float64) time.Duration { return time.Duration(v * float64(time.Second)) }
