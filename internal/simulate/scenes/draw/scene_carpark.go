package main

import (
	"image/color"
	"math"
)

// carPark: dusk from a high mast, straight down; a car comes and parks.
func carPark() *scene {
	s := &scene{name: "car-park", title: "Car park", seconds: 24, h265: true, moves: []move{
		{1, 9, "motion", "a blue car drives in from the left and parks in the upper row"},
		{11, 15.5, "motion", "its driver walks to the right"},
		{17, 22.5, "motion", "a white car leaves the lower row to the left"},
		{0, 0.2, "minor", "the loop begins anew: one car is gone, one is back"},
	}}
	bay := func(i int) float64 { return 150 + float64(i)*112 }
	s.back = func(c *canvas) {
		c.sky(0, 720, hex(0x5c6478), hex(0x4d5468), hex(0x454b60))
		grass := hex(0x52704f)
		c.rect(0, 0, width, 92, grass)
		c.rect(0, 636, width, 84, grass)
		c.rect(0, 92, width, 8, hex(0xa9a59c))
		c.rect(0, 628, width, 8, hex(0xa9a59c))
		for i := range 11 {
			x := bay(i) - 56
			c.rect(x-2, 104, 4, 164, hex(0xd9d7cc))
			c.rect(x-2, 460, 4, 164, hex(0xd9d7cc))
		}
		for i := range 3 {
			x := 220 + float64(i)*380
			c.rect(x, 361, 90, 7, hex(0xd9d7cc))
			c.poly(hex(0xd9d7cc), x+90, 350, x+120, 364.5, x+90, 379)
		}
		c.round(bay(9)-46, 470, 92, 148, 6, alpha(hex(0x3f7fb0), .55))
		c.disc(bay(9)+2, 520, 7, white)
		c.ring(bay(9)-2, 556, 26, 6, white)
		c.stroke(bay(9)+2, 528, bay(9)+4, 556, 7, white)
		c.stroke(bay(9)+4, 556, bay(9)+24, 560, 7, white)
		for i, x := range []float64{60, 300, 560, 820, 1080, 1240} {
			c.crown(x, 40+float64(i%2)*14, 46+float64(i%3)*6, hex([]uint32{0x5f8a52, 0x739a56, 0x8fa052}[i%3]))
			c.crown(x+90, 690-float64(i%2)*12, 44+float64(i%3)*7, hex([]uint32{0x739a56, 0x5f8a52, 0xb0954e}[i%3]))
		}
		cols := nrgba(0xc4553c, 0xe6e2d8, 0x4a5a78, 0x8a9a8c, 0xd9a441, 0x3a3d45, 0x7a3f56)
		for i, up := range []int{0, 1, 3, 4, 7, 8} {
			c.topCar(bay(up), 186, 1, math.Pi/2, cols[i%7], false)
		}
		for i, down := range []int{1, 2, 4, 7, 8} {
			c.topCar(bay(down), 542, 1, -math.Pi/2, cols[(i+3)%7], false)
		}
	}
	s.frame = func(c *canvas, t float64) {
		// The white car leaves: straight out, then to the left.
		out := ease(span(t, 17, 19.2))
		away := math.Pow(span(t, 19, 22.5), 1.5)
		if away < 1 {
			a := -math.Pi/2 - out*out*math.Pi/2
			c.topCar(bay(5)-out*out*70-away*900, 542-out*126, 1, a, hex(0xeeeae0), t > 16.6)
		}
		// The blue car arrives and backs nowhere: nose in.
		in := ease(span(t, 1, 6))
		park := ease(span(t, 6, 9))
		x, y, a := lerp(-120, bay(5)-86, in), 322.0, 0.0
		if park > 0 {
			turn := min(1, park*1.6)
			a = -turn * math.Pi / 2
			x = lerp(bay(5)-86, bay(5), ease(turn))
			y = lerp(322, 186, park)
		}
		if t >= 1 {
			c.topCar(x, y, 1, a, hex(0x3f6fb0), t < 9.6)
		}
		if t >= 11 && t <= 15.5 {
			k := span(t, 11, 15.5)
			wx, wy := bay(5)+58, 200.0
			if k < .25 {
				wy = lerp(200, 300, k/.25)
			} else {
				wy = 300
				wx = lerp(bay(5)+58, 1330, (k-.25)/.75)
			}
			dir := 0.0
			if k < .25 {
				dir = math.Pi / 2
			}
			c.topPerson(wx, wy, dir, t*2.4, brick, hex(0x3b2a20))
		}
		for _, l := range []struct{ x, y float64 }{{340, 100}, {940, 100}, {640, 628}} {
			c.glow(l.x, l.y, 260, 1, hex(0xffdf9c), .30)
			c.stroke(l.x, l.y, l.x, l.y+22*math.Copysign(1, 360-l.y), 5, hex(0x2e3442))
			c.disc(l.x, l.y+22*math.Copysign(1, 360-l.y), 8, hex(0xfff3cc))
		}
	}
	return s
}

func (c *canvas) crown(x, y, r float64, leaf color.NRGBA) {
	c.disc(x+10, y+12, r, alpha(black, .22))
	c.disc(x, y, r, leaf)
	for i := range 7 {
		s, k := math.Sincos(float64(i) * 2 * math.Pi / 7)
		c.disc(x+k*r*.62, y+s*r*.62, r*.42, mix(leaf, white, .05*float64(i%3)))
	}
	c.disc(x-r*.2, y-r*.2, r*.36, mix(leaf, white, .16))
}

// topCar is a car of 140 by 66 from above, facing right before it is turned.
func (c *canvas) topCar(x, y, s, angle float64, col color.NRGBA, lights bool) {
	c.turned(x+7, y+8, s, angle, func() { c.round(-70, -33, 140, 66, 20, alpha(black, .28)) })
	c.turned(x, y, s, angle, func() {
		if lights {
			for _, ly := range []float64{-22, 22} {
				c.poly(alpha(hex(0xfff0b8), .22), 66, ly-5, 66, ly+5, 190, ly+36, 190, ly-36)
				c.disc(-68, ly, 8, alpha(hex(0xff4a3a), .5))
			}
		}
		for _, wx := range []float64{-42, 42} {
			c.round(wx-13, -35, 26, 70, 4, hex(0x17191e))
		}
		c.round(-70, -31, 140, 62, 19, col)
		c.round(-66, -27, 132, 54, 16, mix(col, white, .07))
		glass := hex(0x2c3a4c)
		c.fill(new(path).move(34, -26).cube(44, -12, 44, 12, 34, 26).line(16, 21).cube(21, 8, 21, -8, 16, -21), imageOf(glass))
		c.fill(new(path).move(-50, -24).cube(-56, -10, -56, 10, -50, 24).line(-36, 20).cube(-40, 8, -40, -8, -36, -20), imageOf(glass))
		c.poly(glass, 12, -23, 30, -27, -44, -27, -32, -23)
		c.poly(glass, 12, 23, 30, 27, -44, 27, -32, 23)
		c.round(-34, -20, 48, 40, 8, mix(col, white, .16))
		c.round(60, -26, 8, 13, 3, hex(0xfff2c4))
		c.round(60, 13, 8, 13, 3, hex(0xfff2c4))
		c.round(-70, -25, 6, 13, 2, hex(0xd8392f))
		c.round(-70, 12, 6, 13, 2, hex(0xd8392f))
		c.round(24, -38, 8, 7, 2, mix(col, black, .2))
		c.round(24, 31, 8, 7, 2, mix(col, black, .2))
	})
}

func (c *canvas) topPerson(x, y, angle, step float64, coat, hair color.NRGBA) {
	c.oval(x+8, y+9, 16, 12, alpha(black, .28))
	c.turned(x, y, 1, angle, func() {
		sw := math.Sin(step*math.Pi) * 9
		c.oval(sw, -7, 9, 5, coal)
		c.oval(-sw, 7, 9, 5, coal)
		c.stroke(-1, -14, sw*.8, -17, 7, mix(coat, black, .12))
		c.stroke(-1, 14, -sw*.8, 17, 7, mix(coat, black, .12))
		c.oval(0, 0, 10, 17, coat)
		c.disc(2, 0, 9, hair)
		c.oval(7, 0, 4, 5, hex(0xf2c9a1))
	})
}
