package main

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"
)

// canvas draws anti-aliased shapes on a picture of 1280 by 720, in units of
// pixels, through a transformation that at sets.
type canvas struct {
	img  *image.RGBA
	r    vector.Rasterizer
	m    matrix
	face map[float64]font.Face
	t    float64 // seconds into the loop, for what is always on the move
}

// matrix is an affine map: x' = a x + c y + e, y' = b x + d y + f.
type matrix struct{ a, b, c, d, e, f float64 }

func newCanvas() *canvas {
	return &canvas{img: image.NewRGBA(image.Rect(0, 0, width, height)), m: matrix{a: 1, d: 1}, face: map[float64]font.Face{}}
}

// at runs draw with its origin at x, y and everything s times as large;
// negative s mirrors left and right.
func (c *canvas) at(x, y, s float64, draw func()) { c.turned(x, y, s, 0, draw) }

func (c *canvas) turned(x, y, s, angle float64, draw func()) {
	old := c.m
	sin, cos := math.Sincos(angle)
	n := matrix{cos * s, sin * s, -sin * math.Abs(s), cos * math.Abs(s), x, y}
	c.m = matrix{
		old.a*n.a + old.c*n.b, old.b*n.a + old.d*n.b,
		old.a*n.c + old.c*n.d, old.b*n.c + old.d*n.d,
		old.a*n.e + old.c*n.f + old.e, old.b*n.e + old.d*n.f + old.f,
	}
	draw()
	c.m = old
}

// hex is a colour as 0xRRGGBB.
func hex(v uint32) color.NRGBA { return color.NRGBA{byte(v >> 16), byte(v >> 8), byte(v), 255} }

func alpha(col color.NRGBA, a float64) color.NRGBA {
	col.A = byte(255 * max(0, min(1, a)))
	return col
}

// mix is k of the way from a to b.
func mix(a, b color.NRGBA, k float64) color.NRGBA {
	f := func(x, y byte) byte { return byte(float64(x) + (float64(y)-float64(x))*k) }
	return color.NRGBA{f(a.R, b.R), f(a.G, b.G), f(a.B, b.B), f(a.A, b.A)}
}

// path is an outline under construction.
type path struct{ ops []op }

type op struct {
	kind byte // m, l, q, c, z
	p    [6]float64
}

func (p *path) move(x, y float64) *path { p.ops = append(p.ops, op{'m', [6]float64{x, y}}); return p }

func (p *path) line(xy ...float64) *path {
	for i := 0; i+1 < len(xy); i += 2 {
		p.ops = append(p.ops, op{'l', [6]float64{xy[i], xy[i+1]}})
	}
	return p
}

func (p *path) quad(a, b, x, y float64) *path {
	p.ops = append(p.ops, op{'q', [6]float64{a, b, x, y}})
	return p
}

func (p *path) cube(a, b, d, e, x, y float64) *path {
	p.ops = append(p.ops, op{'c', [6]float64{a, b, d, e, x, y}})
	return p
}

// fill paints the path; several outlines in one are joined or, where they turn
// the other way, cut out.
func (c *canvas) fill(p *path, src image.Image) {
	pts := make([]op, len(p.ops))
	x0, y0, x1, y1 := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for i, o := range p.ops {
		n := map[byte]int{'m': 1, 'l': 1, 'q': 2, 'c': 3}[o.kind]
		for k := range n {
			x, y := o.p[2*k], o.p[2*k+1]
			o.p[2*k], o.p[2*k+1] = c.m.a*x+c.m.c*y+c.m.e, c.m.b*x+c.m.d*y+c.m.f
			x0, x1 = min(x0, o.p[2*k]), max(x1, o.p[2*k])
			y0, y1 = min(y0, o.p[2*k+1]), max(y1, o.p[2*k+1])
		}
		pts[i] = o
	}
	box := image.Rect(int(math.Floor(x0)), int(math.Floor(y0)), int(math.Ceil(x1))+1, int(math.Ceil(y1))+1).Inset(-1)
	if !box.Overlaps(c.img.Rect) || box.Dx() > 8000 || box.Dy() > 8000 {
		return
	}
	// The rasterizer wants everything inside its own rectangle; what goes past
	// the picture is drawn and thrown away.
	c.r.Reset(box.Dx(), box.Dy())
	f := func(o op, k int) (float32, float32) {
		return float32(o.p[2*k] - float64(box.Min.X)), float32(o.p[2*k+1] - float64(box.Min.Y))
	}
	for _, o := range pts {
		ax, ay := f(o, 0)
		bx, by := f(o, 1)
		dx, dy := f(o, 2)
		switch o.kind {
		case 'm':
			c.r.ClosePath()
			c.r.MoveTo(ax, ay)
		case 'l':
			c.r.LineTo(ax, ay)
		case 'q':
			c.r.QuadTo(ax, ay, bx, by)
		case 'c':
			c.r.CubeTo(ax, ay, bx, by, dx, dy)
		}
	}
	c.r.ClosePath()
	if box.In(c.img.Rect) {
		c.r.Draw(c.img, box, src, box.Min)
		return
	}
	mask := image.NewAlpha(image.Rect(0, 0, box.Dx(), box.Dy()))
	c.r.Draw(mask, mask.Rect, image.Opaque, image.Point{})
	in := box.Intersect(c.img.Rect)
	draw.DrawMask(c.img, in, src, in.Min, mask, in.Min.Sub(box.Min), draw.Over)
}

func (c *canvas) poly(col color.NRGBA, xy ...float64) {
	c.fill(new(path).move(xy[0], xy[1]).line(xy[2:]...), image.NewUniform(col))
}

func (c *canvas) rect(x, y, w, h float64, col color.NRGBA) {
	c.poly(col, x, y, x+w, y, x+w, y+h, x, y+h)
}

func roundPath(x, y, w, h, r float64) *path {
	r = min(r, w/2, h/2)
	k := r * 0.45
	return new(path).move(x+r, y).line(x+w-r, y).cube(x+w-k, y, x+w, y+k, x+w, y+r).
		line(x+w, y+h-r).cube(x+w, y+h-k, x+w-k, y+h, x+w-r, y+h).
		line(x+r, y+h).cube(x+k, y+h, x, y+h-k, x, y+h-r).
		line(x, y+r).cube(x, y+k, x+k, y, x+r, y)
}

func (c *canvas) round(x, y, w, h, r float64, col color.NRGBA) {
	c.fill(roundPath(x, y, w, h, r), image.NewUniform(col))
}

func (c *canvas) oval(x, y, rx, ry float64, col color.NRGBA) {
	c.fill(ovalPath(x, y, rx, ry), image.NewUniform(col))
}

func ovalPath(x, y, rx, ry float64) *path {
	const k = 0.5523
	return new(path).move(x+rx, y).cube(x+rx, y+ry*k, x+rx*k, y+ry, x, y+ry).cube(x-rx*k, y+ry, x-rx, y+ry*k, x-rx, y).
		cube(x-rx, y-ry*k, x-rx*k, y-ry, x, y-ry).cube(x+rx*k, y-ry, x+rx, y-ry*k, x+rx, y)
}

func (c *canvas) disc(x, y, r float64, col color.NRGBA) { c.oval(x, y, r, r, col) }

func (c *canvas) ring(x, y, r, w float64, col color.NRGBA) {
	const n = 28
	p := new(path)
	for i := range n + 1 {
		s, k := math.Sincos(2 * math.Pi * float64(i) / n)
		if i == 0 {
			p.move(x+r*k, y+r*s)
		} else {
			p.line(x+r*k, y+r*s)
		}
	}
	for i := range n + 1 {
		s, k := math.Sincos(-2 * math.Pi * float64(i) / n)
		if i == 0 {
			p.move(x+(r-w)*k, y+(r-w)*s)
		} else {
			p.line(x+(r-w)*k, y+(r-w)*s)
		}
	}
	c.fill(p, image.NewUniform(col))
}

// stroke is a straight line of width w with round ends.
func (c *canvas) stroke(x0, y0, x1, y1, w float64, col color.NRGBA) {
	dx, dy := x1-x0, y1-y0
	n := math.Hypot(dx, dy)
	if n > 0.01 {
		ox, oy := -dy/n*w/2, dx/n*w/2
		ex, ey := dx/n*w*0.66, dy/n*w*0.66
		c.fill(new(path).move(x0+ox, y0+oy).line(x1+ox, y1+oy).
			cube(x1+ox+ex, y1+oy+ey, x1-ox+ex, y1-oy+ey, x1-ox, y1-oy).
			line(x0-ox, y0-oy).cube(x0-ox-ex, y0-oy-ey, x0+ox-ex, y0+oy-ey, x0+ox, y0+oy), image.NewUniform(col))
	}
}

// shade is a picture of one colour turning into another from top to bottom, or
// from the middle outwards.
type shade struct {
	stops  []color.NRGBA
	y0, y1 float64
	x, r   float64 // r > 0: radial about x, y0
	squash float64
}

func (s shade) ColorModel() color.Model { return color.NRGBAModel }
func (s shade) Bounds() image.Rectangle { return image.Rect(-1e5, -1e5, 1e5, 1e5) }
func (s shade) At(x, y int) color.Color {
	k := (float64(y) - s.y0) / (s.y1 - s.y0)
	if s.r > 0 {
		k = math.Hypot(float64(x)-s.x, (float64(y)-s.y0)*s.squash) / s.r
	}
	k = max(0, min(0.9999, k)) * float64(len(s.stops)-1)
	return mix(s.stops[int(k)], s.stops[int(k)+1], k-math.Floor(k))
}

// sky fills a rectangle with colours from top to bottom, in picture coordinates.
func (c *canvas) sky(y0, y1 float64, stops ...color.NRGBA) {
	c.fill(roundPath(0, y0, width, y1-y0, 0), shade{stops: stops, y0: y0, y1: y1})
}

// glow is light that fades from the middle: picture coordinates.
func (c *canvas) glow(x, y, r, squash float64, col color.NRGBA, a float64) {
	c.fill(roundPath(x-r, y-r/squash, 2*r, 2*r/squash, 0), shade{
		stops: []color.NRGBA{alpha(col, a), alpha(col, a*0.45), alpha(col, a*0.12), alpha(col, 0)}, y0: y, x: x, r: r, squash: squash,
	})
}

// text writes s with its left end at x and its foot at y.
func (c *canvas) text(x, y, size float64, s string, col color.NRGBA) float64 {
	px := size * math.Abs(c.m.d)
	f := c.face[px]
	if f == nil {
		parsed, err := opentype.Parse(gomedium.TTF)
		if err != nil {
			panic(err)
		}
		if f, err = opentype.NewFace(parsed, &opentype.FaceOptions{Size: px, DPI: 72, Hinting: font.HintingNone}); err != nil {
			panic(err)
		}
		c.face[px] = f
	}
	d := font.Drawer{Dst: c.img, Src: image.NewUniform(col), Face: f}
	d.Dot = fixed.Point26_6{
		X: fixed.Int26_6(64 * (c.m.a*x + c.m.c*y + c.m.e)), Y: fixed.Int26_6(64 * (c.m.b*x + c.m.d*y + c.m.f)),
	}
	if c.m.a < 0 { // a mirrored thing still bears readable letters
		d.Dot.X -= d.MeasureString(s)
	}
	d.DrawString(s)
	return float64(d.MeasureString(s)) / 64
}

// label is text with its middle at x.
func (c *canvas) label(x, y, size float64, s string, col color.NRGBA) {
	f := float64(len(s)) * size * 0.285
	c.text(x-f, y, size, s, col)
}

func imageOf(col color.NRGBA) image.Image { return image.NewUniform(col) }

func nrgba(v ...uint32) []color.NRGBA {
	out := make([]color.NRGBA, len(v))
	for i, x := range v {
		out[i] = hex(x)
	}
	return out
}
