package estate

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"image/jpeg"
	"image/png"
	"math"
	"net/http"
	"strconv"
	"time"
)

// FloorPlan is a picture of a site on which devices are placed.
type FloorPlan struct {
	Site          string
	Media         string // "image/png", "image/jpeg" or "image/webp"
	Width, Height int    // pixels
	Image         []byte
	Updated       time.Time
}

// Bounds of a floor plan.
const (
	MaxPlanBytes = 8 << 20
	maxPlanSide  = 20_000 // pixels
)

// Placement is where a device stands on its site's floor plan and what it
// looks at.
type Placement struct {
	Device  DeviceID `json:"device"`
	X       float64  `json:"x"`       // 0 is the left edge, 1 the right
	Y       float64  `json:"y"`       // 0 is the top, 1 the bottom
	Heading float64  `json:"heading"` // degrees, 0 is up, clockwise
	Angle   float64  `json:"angle"`   // of view, degrees, to 360
	Reach   float64  `json:"reach"`   // in widths of the plan
}

// SetFloorPlan stores a site's floor plan: PNG, JPEG or WebP, at most
// [MaxPlanBytes]. SVG is refused, because it can carry programs. An empty image
// takes the plan away.
func (e *Estate) SetFloorPlan(ctx context.Context, site string, image []byte, by string) (FloorPlan, error) {
	p := FloorPlan{Site: site, Image: image, Updated: e.now().UTC()}
	err := e.tx(ctx, func(tx querier) (err error) {
		if _, err := oneSite(ctx, tx, site); err != nil {
			return err
		}
		if len(image) == 0 {
			_, err = tx.ExecContext(ctx, `DELETE FROM estate_plans WHERE site = $1`, site)
		} else {
			if p.Media, p.Width, p.Height, err = measure(image); err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO estate_plans (site, media, width, height, image, updated) VALUES ($1, $2, $3, $4, $5, $6)
				ON CONFLICT (site) DO UPDATE SET media = excluded.media, width = excluded.width, height = excluded.height,
					image = excluded.image, updated = excluded.updated`, site, p.Media, p.Width, p.Height, image, micro(p.Updated))
		}
		if err != nil {
			return err
		}
		what := "removed"
		if p.Media != "" {
			what = fmt.Sprintf("%s, %d x %d", p.Media, p.Width, p.Height)
		}
		return e.note(ctx, tx, Change{Subject: "site", ID: site, What: "floor plan", To: what, By: by})
	})
	if err != nil {
		return FloorPlan{}, fmt.Errorf("set floor plan of site %q: %w", site, err)
	}
	return p, nil
}

// FloorPlan returns a site's floor plan, or [ErrNotFound].
func (e *Estate) FloorPlan(ctx context.Context, site string) (FloorPlan, error) {
	p := FloorPlan{Site: site}
	var updated int64
	err := pool{e.db}.QueryRowContext(ctx, `SELECT media, width, height, image, updated FROM estate_plans WHERE site = $1`, site).
		Scan(&p.Media, &p.Width, &p.Height, &p.Image, &updated)
	if err == sql.ErrNoRows {
		err = ErrNotFound
	}
	if err != nil {
		return FloorPlan{}, fmt.Errorf("floor plan of site %q: %w", site, err)
	}
	p.Updated = moment(updated)
	return p, nil
}

// measure reads what kind of image it is and how large, without decoding it.
func measure(image []byte) (media string, width, height int, err error) {
	if len(image) > MaxPlanBytes {
		return "", 0, 0, invalid("plan", "too-long", strconv.Itoa(MaxPlanBytes))
	}
	media = http.DetectContentType(image)
	switch media {
	case "image/png":
		c, err := png.DecodeConfig(bytes.NewReader(image))
		if err != nil {
			return "", 0, 0, invalid("plan", "image", "")
		}
		width, height = c.Width, c.Height
	case "image/jpeg":
		c, err := jpeg.DecodeConfig(bytes.NewReader(image))
		if err != nil {
			return "", 0, 0, invalid("plan", "image", "")
		}
		width, height = c.Width, c.Height
	case "image/webp":
		width, height = measureWebP(image)
	}
	if width < 1 || height < 1 || width > maxPlanSide || height > maxPlanSide {
		return "", 0, 0, invalid("plan", "image", "")
	}
	return media, width, height, nil
}

// measureWebP reads the size from the first chunk (RFC 9649); zero when it is
// not there.
func measureWebP(b []byte) (width, height int) {
	if len(b) < 30 {
		return 0, 0
	}
	body := b[20:]
	switch string(b[12:16]) {
	case "VP8X":
		return 1 + int(body[4]) + int(body[5])<<8 + int(body[6])<<16, 1 + int(body[7]) + int(body[8])<<8 + int(body[9])<<16
	case "VP8 ":
		return int(binary.LittleEndian.Uint16(body[6:])) & 0x3fff, int(binary.LittleEndian.Uint16(body[8:])) & 0x3fff
	case "VP8L":
		if body[0] != 0x2f {
			return 0, 0
		}
		bits := binary.LittleEndian.Uint32(body[1:])
		return int(bits&0x3fff) + 1, int(bits>>14&0x3fff) + 1
	}
	return 0, 0
}

// Place puts a device on its site's floor plan.
func (e *Estate) Place(ctx context.Context, p Placement, by string) error {
	err := e.tx(ctx, func(tx querier) error {
		if _, err := oneDevice(ctx, tx, p.Device); err != nil {
			return err
		}
		for _, n := range []struct {
			field        string
			value, least float64
			most         float64
		}{{"x", p.X, 0, 1}, {"y", p.Y, 0, 1}, {"heading", p.Heading, 0, 360}, {"angle", p.Angle, 0, 360}, {"reach", p.Reach, 0, 10}} {
			if math.IsNaN(n.value) || n.value < n.least || n.value > n.most {
				return invalid(n.field, "range", fmt.Sprintf("%g to %g", n.least, n.most))
			}
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO estate_placements (device, x, y, heading, angle, reach) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (device) DO UPDATE SET x = excluded.x, y = excluded.y, heading = excluded.heading, angle = excluded.angle, reach = excluded.reach`,
			string(p.Device), p.X, p.Y, p.Heading, p.Angle, p.Reach)
		if err != nil {
			return err
		}
		return e.note(ctx, tx, Change{Subject: "device", ID: string(p.Device), What: "placement", To: fmt.Sprintf("%.3f, %.3f, %.0f°", p.X, p.Y, p.Heading), By: by})
	})
	if err != nil {
		return fmt.Errorf("place device %q: %w", p.Device, err)
	}
	return nil
}

// Unplace takes a device off the floor plan.
func (e *Estate) Unplace(ctx context.Context, id DeviceID, by string) error {
	err := e.tx(ctx, func(tx querier) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM estate_placements WHERE device = $1`, string(id))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return orElse(err, ErrNotFound)
		}
		return e.note(ctx, tx, Change{Subject: "device", ID: string(id), What: "placement", From: "placed", By: by})
	})
	if err != nil {
		return fmt.Errorf("take device %q off the plan: %w", id, err)
	}
	return nil
}

// Placements returns where the devices of a site stand that are there now.
func (e *Estate) Placements(ctx context.Context, site string) ([]Placement, error) {
	rows, err := pool{e.db}.QueryContext(ctx, `SELECT p.device, p.x, p.y, p.heading, p.angle, p.reach
		FROM estate_devices d JOIN estate_placements p ON p.device = d.id
		WHERE d.site = $1 AND d.state <> 'removed' ORDER BY p.device`, site)
	if err != nil {
		return nil, fmt.Errorf("placements of site %q: %w", site, err)
	}
	defer rows.Close()
	var all []Placement
	for rows.Next() {
		var p Placement
		if err := rows.Scan(&p.Device, &p.X, &p.Y, &p.Heading, &p.Angle, &p.Reach); err != nil {
			return nil, fmt.Errorf("placements of site %q: %w", site, err)
		}
		all = append(all, p)
	}
	return all, rows.Err()
}
