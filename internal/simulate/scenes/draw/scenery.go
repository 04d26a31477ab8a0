package main

import (
	"image"
	"image/color"
	"math"
)

func (c *canvas) cloud(x, y, s float64, col color.NRGBA) {
	c.at(x, y, s, func() {
		p := roundPath(-70, -16, 140, 26, 13)
		for _, d := range [][3]float64{{-32, -16, 24}, {6, -26, 32}, {40, -14, 20}} {
			p.ops = append(p.ops, ovalPath(d[0], d[1], d[2], d[2]).ops...)
		}
		c.fill(p, imageOf(col)) // one outline, so that nothing shines through twice
	})
}

// tree is about 150 units high.
func (c *canvas) tree(x, y, s float64, leaf color.NRGBA) {
	c.oval(x+8*s, y, 46*s, 7*s, alpha(black, .16))
	c.at(x, y, s, func() {
		bark := hex(0x7a5a44)
		c.poly(bark, -6, 0, 6, 0, 4, -70, -4, -70)
		c.stroke(0, -50, 18, -76, 4, bark)
		c.disc(-22, -88, 30, mix(leaf, black, .1))
		c.disc(24, -92, 29, leaf)
		c.disc(0, -118, 34, leaf)
		c.disc(-8, -84, 26, mix(leaf, black, .06))
		c.disc(10, -126, 18, mix(leaf, white, .14))
		c.disc(30, -100, 14, mix(leaf, white, .12))
	})
}

// cypress is a slim tree of about 160 units.
func (c *canvas) cypress(x, y, s float64, leaf color.NRGBA) {
	c.oval(x, y, 18*s, 4*s, alpha(black, .16))
	c.at(x, y, s, func() {
		c.rect(-3, -14, 6, 14, hex(0x6d513d))
		c.fill(new(path).move(0, -160).cube(26, -100, 24, -30, 0, -10).cube(-24, -30, -26, -100, 0, -160), image.NewUniform(leaf))
		c.fill(new(path).move(0, -160).cube(26, -100, 24, -30, 0, -10).cube(10, -50, 10, -100, 0, -160), image.NewUniform(mix(leaf, black, .14)))
	})
}

func (c *canvas) bush(x, y, s float64, leaf color.NRGBA) {
	c.at(x, y, s, func() {
		c.disc(-26, -12, 18, mix(leaf, black, .08))
		c.disc(24, -12, 18, leaf)
		c.disc(0, -20, 24, leaf)
		c.rect(-42, -12, 84, 12, leaf)
		c.disc(8, -28, 10, mix(leaf, white, .14))
	})
}

func (c *canvas) lamp(x, y, s float64, col color.NRGBA, lit bool) {
	c.at(x, y, s, func() {
		c.round(-9, -8, 18, 8, 3, col)
		c.rect(-3, -180, 6, 176, col)
		c.stroke(0, -178, 34, -188, 5, col)
		c.round(26, -194, 34, 9, 4, col)
		glass := hex(0xe8eef0)
		if lit {
			glass = hex(0xffe9a8)
		}
		c.round(30, -186, 26, 4, 2, glass)
	})
}

// house is a front of w by h with rows of windows, its foot at y.
type house struct {
	x, y, w, h float64
	wall, roof color.NRGBA
	cols, rows int
	shop       string
	awning     color.NRGBA
	gable      bool
	lit        uint // a bit a window
}

func (c *canvas) house(b house) {
	if b.gable {
		c.poly(b.roof, b.x-8, b.y-b.h, b.x+b.w/2, b.y-b.h-b.w*.36, b.x+b.w+8, b.y-b.h)
		c.disc(b.x+b.w/2, b.y-b.h-b.w*.12, b.w*.055, mix(b.wall, white, .5))
	} else {
		c.rect(b.x-5, b.y-b.h-12, b.w+10, 16, b.roof)
		c.rect(b.x+b.w*.7, b.y-b.h-38, 18, 28, mix(b.wall, black, .25))
	}
	c.rect(b.x, b.y-b.h, b.w, b.h, b.wall)
	c.rect(b.x+b.w-10, b.y-b.h, 10, b.h, mix(b.wall, black, .07))
	base := 0.0
	if b.shop != "" {
		base = 104
	}
	sx, sy := b.w/float64(b.cols), (b.h-base-14)/float64(b.rows)
	for i := range b.cols * b.rows {
		ww, wh := sx*.5, sy*.58
		x := b.x + (float64(i%b.cols)+.5)*sx - ww/2
		y := b.y - b.h + 14 + float64(i/b.cols)*sy + (sy-wh)/2
		glass := mix(hex(0x9fc3d6), b.wall, .12)
		if b.lit>>uint(i)&1 == 1 {
			glass = hex(0xffdf94)
		}
		c.rect(x-4, y-4, ww+8, wh+8, mix(b.wall, white, .45))
		c.rect(x, y, ww, wh, glass)
		c.poly(alpha(white, .22), x, y+wh*.8, x+ww*.6, y, x+ww, y, x+ww*.2, y+wh)
		c.rect(x+ww/2-1, y, 2, wh, mix(b.wall, white, .45))
		c.rect(x-6, y+wh+3, ww+12, 5, mix(b.wall, black, .16))
	}
	if b.shop == "" {
		return
	}
	y := b.y - 100
	c.rect(b.x+6, y, b.w-12, 100, mix(b.wall, black, .28))
	c.rect(b.x+14, y+30, b.w*.56, 54, hex(0xcfe3ea))
	c.poly(alpha(white, .35), b.x+20, y+84, b.x+60, y+30, b.x+84, y+30, b.x+44, y+84)
	c.rect(b.x+b.w*.68, y+26, b.w*.22, 74, mix(b.wall, black, .45))
	c.rect(b.x+b.w*.7, y+30, b.w*.18, 44, hex(0xbcd5df))
	c.rect(b.x+2, y-8, b.w-4, 24, mix(b.awning, black, .25))
	c.label(b.x+b.w/2, y+10, 18, b.shop, cream)
	n := int(b.w / 20)
	for i := range n {
		x, ww := b.x+6+float64(i)*(b.w-12)/float64(n), (b.w-12)/float64(n)
		col := b.awning
		if i%2 == 1 {
			col = cream
		}
		c.poly(col, x, y+16, x+ww, y+16, x+ww-3, y+40, x-3, y+40)
		c.fill(new(path).move(x-3, y+40).line(x+ww-3, y+40).cube(x+ww-3, y+50, x-3, y+50, x-3, y+40), image.NewUniform(col))
	}
	c.rect(b.x, y+50, b.w-6, 6, alpha(black, .12))
}

// face draws a clock with hands.
func (c *canvas) clockFace(x, y, r, hours float64) {
	c.disc(x, y, r*1.14, hex(0x6b5645))
	c.disc(x, y, r, hex(0xfbf6ea))
	for i := range 12 {
		s, k := math.Sincos(float64(i) * math.Pi / 6)
		c.stroke(x+k*r*.8, y+s*r*.8, x+k*r*.9, y+s*r*.9, r*.06, hex(0x4a4038))
	}
	hand := func(turn, long, w float64, col color.NRGBA) {
		s, k := math.Sincos(2*math.Pi*turn - math.Pi/2)
		c.stroke(x-k*r*.1, y-s*r*.1, x+k*r*long, y+s*r*long, w, col)
	}
	hand(hours/12, .5, r*.1, hex(0x2e2a27))
	hand(hours, .76, r*.07, hex(0x2e2a27))
	c.disc(x, y, r*.08, brick)
}

// tiles is paving seen from a height: lines running to a vanishing point, and across.
func (c *canvas) tiles(y0, y1, vx, vy float64, step float64, col color.NRGBA) {
	for i := -24; i <= 24; i++ {
		x := vx + float64(i)*step
		k := (y0 - vy) / (y1 - vy)
		c.poly(col, vx+(x-vx)*k-.5, y0, vx+(x-vx)*k+.5, y0, x+1, y1, x-1, y1)
	}
	for i := range 12 {
		k := math.Pow(float64(i)/12, 1.7)
		c.rect(0, lerp(y0, y1, k), width, 1+1.5*k, col)
	}
}

func (c *canvas) gull(x, y, s, t float64) {
	up := math.Sin(t*7) * 8
	c.at(x, y, s, func() {
		col := hex(0xfafafa)
		c.fill(new(path).move(0, 0).quad(-12, -10-up, -26, -4-up).quad(-12, -5-up*.5, 0, 5), image.NewUniform(col))
		c.fill(new(path).move(0, 0).quad(12, -10-up, 26, -4-up).quad(12, -5-up*.5, 0, 5), image.NewUniform(mix(col, black, .08)))
		c.oval(0, 2, 4, 3, col)
	})
}

// crane is a harbour gantry of about 300 units.
func (c *canvas) crane(x, y, s float64, col color.NRGBA) {
	c.at(x, y, s, func() {
		for _, lx := range []float64{-40, 40} {
			c.rect(lx-5, -190, 10, 190, col)
		}
		c.stroke(-40, -20, 40, -110, 4, col)
		c.stroke(40, -20, -40, -110, 4, col)
		c.rect(-160, -200, 330, 12, col)
		c.stroke(0, -270, -156, -196, 4, col)
		c.stroke(0, -270, 166, -196, 4, col)
		c.poly(col, -10, -200, 10, -200, 4, -272, -4, -272)
		c.rect(-60, -190, 26, 20, mix(col, white, .3))
		c.rect(-112, -188, 2, 66, col)
		c.rect(-126, -124, 30, 16, mix(col, black, .2))
	})
}

func (c *canvas) containers(x, y, s float64, rows, cols int, seed int) {
	palette := []color.NRGBA{hex(0xc65a42), hex(0x3f7d9c), hex(0xe0a53a), hex(0x5a8a5e), hex(0x8a5a78), hex(0xd8d2c4), hex(0x4a5a78)}
	c.at(x, y, s, func() {
		for r := range rows {
			for k := range cols {
				if r == rows-1 && (k+seed)%3 == 0 {
					continue
				}
				col := palette[(r*5+k*3+seed)%len(palette)]
				bx, by := float64(k)*104, -float64(r+1)*44
				c.rect(bx, by, 101, 43, col)
				for i := range 9 {
					c.rect(bx+7+float64(i)*10.4, by+4, 4, 35, mix(col, black, .12))
				}
				c.rect(bx, by, 101, 3, mix(col, white, .22))
			}
		}
	})
}
