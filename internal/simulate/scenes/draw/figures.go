package main

import (
	"image"
	"image/color"
	"math"
)

// look is how a person is dressed. Sizes are for a grown-up of 100 units.
type look struct {
	skin, hair, top, legs, shoes color.NRGBA
	long                         bool // hair
	skirt, hat, vest, bag, pack  color.NRGBA
}

var (
	skins  = []color.NRGBA{hex(0xf2c9a1), hex(0xd99f6c), hex(0x9c6239), hex(0x6f4326), hex(0xffdcc0)}
	hairs  = []color.NRGBA{hex(0x3b2a20), hex(0x1f1a1a), hex(0xa8672f), hex(0xd9b26a), hex(0x8a8a8c)}
	navy   = hex(0x2b3a55)
	denim  = hex(0x43608a)
	cream  = hex(0xf6ead2)
	brick  = hex(0xc4553c)
	must   = hex(0xe0a53a)
	teal   = hex(0x2f8f8a)
	plum   = hex(0x7a3f66)
	forest = hex(0x3f6b4b)
	coal   = hex(0x2c2e33)
	white  = hex(0xffffff)
	black  = hex(0x000000)
)

func person(i int, top, legs color.NRGBA) look {
	return look{skin: skins[i%len(skins)], hair: hairs[(i*3+i/2)%len(hairs)], top: top, legs: legs, shoes: coal, long: i%2 == 1}
}

// walk draws a person from the side, feet at x, y, h high; step counts paces
// (0 stands still), dir is 1 to the right and -1 to the left.
func (c *canvas) walk(x, y, h, step float64, dir float64, l look) {
	c.oval(x, y, h*0.2, h*0.035, alpha(black, 0.22))
	c.at(x, y, h/100*1, func() {
		if dir < 0 {
			c.at(0, 0, -1, func() { c.figure(step, l) })
		} else {
			c.figure(step, l)
		}
	})
}

func (c *canvas) figure(step float64, l look) {
	swing := math.Sin(step * math.Pi)
	bob := -math.Abs(math.Cos(step*math.Pi)) * 1.6
	if step == 0 {
		bob = 0
	}
	leg := func(s float64, shade float64) {
		col := mix(l.legs, black, shade)
		kx, ky := s*9, -24.0
		fx, fy := s*17, -3+math.Min(0, -math.Abs(s)*1.5)
		if s < 0 {
			fy -= -s * 4 // the foot behind is lifted
		}
		c.stroke(0, -46+bob, kx, ky, 10, col)
		c.stroke(kx, ky, fx, fy-2, 8.4, col)
		c.round(fx-4, fy-4, 13, 6.5, 3, mix(l.shoes, black, shade))
	}
	arm := func(s float64, shade float64) {
		ex, ey := s*9-1, -58+bob
		hx, hy := s*17+4, -46+bob
		c.stroke(0, -74+bob, ex, ey, 7.2, mix(l.top, black, shade))
		c.stroke(ex, ey, hx, hy, 6, mix(l.top, black, shade))
		c.disc(hx, hy, 3.6, mix(l.skin, black, shade/2))
		if l.bag.A > 0 && shade == 0 {
			c.stroke(hx, hy, hx, hy+6, 1.6, mix(l.bag, black, .3))
			c.round(hx-8, hy+6, 16, 16, 2.5, l.bag)
		}
	}
	arm(-swing, 0.22)
	leg(-swing, 0.18)
	leg(swing, 0)
	if l.pack.A > 0 {
		c.round(-18, -78+bob, 15, 27, 6, l.pack)
	}
	if l.long {
		c.round(-9, -97+bob, 14, 25, 7, l.hair)
	}
	c.stroke(0, -80+bob, 1, -84+bob, 6, l.skin)
	c.round(-10, -81+bob, 20, 38, 9, l.top)
	if l.vest.A > 0 {
		c.round(-10, -79+bob, 20, 33, 7, l.vest)
		c.rect(-10, -64+bob, 20, 4, hex(0xf4f4ee))
		c.rect(-10, -54+bob, 20, 4, hex(0xf4f4ee))
	}
	if l.skirt.A > 0 {
		c.poly(l.skirt, -9, -50+bob, 9, -50+bob, 15, -26+bob, -14, -26+bob)
	}
	c.oval(2, -91+bob, 8, 9, l.skin)
	hair := new(path).move(-7, -88+bob).cube(-11, -104+bob, 9, -106+bob, 9.5, -93+bob).cube(4, -96+bob, 0, -97+bob, -3, -88+bob)
	c.fill(hair, image.NewUniform(l.hair))
	if l.hat.A > 0 {
		c.fill(new(path).move(-8, -95+bob).cube(-8, -108+bob, 10, -108+bob, 10, -95+bob), image.NewUniform(l.hat))
		c.round(2, -97+bob, 13, 3.4, 1.6, mix(l.hat, black, .15))
	}
	arm(swing, 0)
}

// wheel turns by angle.
func (c *canvas) wheel(x, y, r, angle float64) {
	c.disc(x, y, r, hex(0x23252a))
	c.disc(x, y, r*0.6, hex(0xb9bec6))
	for i := range 5 {
		s, k := math.Sincos(angle + float64(i)*2*math.Pi/5)
		c.stroke(x, y, x+k*r*0.52, y+s*r*0.52, r*0.16, hex(0x7e858f))
	}
	c.disc(x, y, r*0.16, hex(0x4a4f57))
}

// car is about 200 units long, wheels on y = 0, facing right.
func (c *canvas) car(x, y, s, dist float64, col color.NRGBA, lights bool) {
	c.oval(x, y, 104*math.Abs(s), 7*math.Abs(s), alpha(black, 0.25))
	c.at(x, y, s, func() {
		body := new(path).move(-100, -20).cube(-102, -44, -96, -48, -74, -51).cube(-54, -76, -40, -80, -6, -80).
			cube(26, -80, 36, -68, 54, -51).cube(84, -47, 98, -42, 100, -26).line(100, -16).cube(100, -12, 96, -12, 92, -12).line(-94, -12).cube(-100, -12, -100, -16, -100, -20)
		c.fill(body, image.NewUniform(col))
		c.fill(new(path).move(-98, -26).line(100, -26).line(100, -16).cube(100, -12, 96, -12, 92, -12).line(-94, -12).cube(-99, -12, -99, -16, -98, -26), image.NewUniform(mix(col, black, .16)))
		glass := hex(0xbcd8e6)
		if lights {
			glass = hex(0x44566b)
		}
		c.fill(new(path).move(-60, -52).cube(-48, -70, -40, -74, -12, -74).line(-12, -52), image.NewUniform(glass))
		c.fill(new(path).move(-5, -52).line(-5, -74).cube(20, -74, 28, -66, 42, -52), image.NewUniform(glass))
		c.poly(alpha(white, .28), -40, -52, -28, -72, -20, -72, -32, -52)
		c.poly(alpha(white, .28), 8, -52, 16, -71, 20, -69, 14, -52)
		c.round(-4, -45, 12, 2.6, 1.3, mix(col, black, .35))
		c.round(90, -36, 10, 9, 4, hex(0xfff2c4))
		c.round(-101, -38, 8, 11, 3, hex(0xd8392f))
		for _, wx := range []float64{-60, 60} {
			c.disc(wx, -16, 21, mix(col, black, .5))
			c.wheel(wx, -16, 17, dist/17)
		}
	})
	if lights {
		dir := math.Copysign(1, s)
		z := math.Abs(s)
		c.poly(alpha(hex(0xfff0b8), .20), x+98*s, y-32*z, x+98*s+dir*190*z, y-8*z, x+98*s+dir*170*z, y+8*z, x+98*s, y-24*z)
		c.glow(x+97*s, y-31*z, 30*z, 1, hex(0xfff0b8), .8)
	}
}

// van is about 240 units long.
func (c *canvas) van(x, y, s, dist float64, col, band color.NRGBA) {
	c.oval(x, y, 122*math.Abs(s), 8*math.Abs(s), alpha(black, 0.25))
	c.at(x, y, s, func() {
		body := new(path).move(-118, -16).line(-118, -106).cube(-118, -114, -114, -116, -106, -116).line(44, -116).
			cube(64, -116, 76, -80, 84, -62).cube(112, -56, 118, -50, 118, -34).line(118, -16)
		c.fill(body, image.NewUniform(col))
		c.poly(band, -118, -58, 56, -58, 62, -44, -118, -44)
		c.fill(new(path).move(28, -66).line(28, -106).line(46, -106).cube(58, -102, 64, -82, 72, -66), image.NewUniform(hex(0xa9c9da)))
		c.poly(alpha(white, .3), 36, -66, 46, -104, 52, -100, 44, -66)
		c.rect(18, -108, 2, 92, mix(col, black, .2))
		c.rect(-118, -24, 236, 8, mix(col, black, .25))
		c.round(108, -46, 10, 11, 4, hex(0xfff2c4))
		c.round(-119, -60, 6, 16, 2, hex(0xd8392f))
		for _, wx := range []float64{-74, 76} {
			c.disc(wx, -18, 24, mix(col, black, .55))
			c.wheel(wx, -18, 19, dist/19)
		}
	})
}

// lorry is about 520 units long with a container in the given colour.
func (c *canvas) lorry(x, y, s, dist float64, cab, box color.NRGBA) {
	c.oval(x-20*s, y, 270*math.Abs(s), 10*math.Abs(s), alpha(black, 0.28))
	c.at(x, y, s, func() {
		c.rect(-270, -46, 400, 14, hex(0x3a3f47))
		c.round(-272, -196, 372, 152, 4, box)
		for i := range 18 {
			c.rect(-262+float64(i)*20, -188, 7, 136, mix(box, black, .13))
		}
		c.rect(-272, -196, 372, 8, mix(box, white, .18))
		c.rect(-272, -52, 372, 8, mix(box, black, .25))
		c.label(-86, -104, 36, "NORDKAI", alpha(white, .9))
		body := new(path).move(112, -34).line(112, -178).cube(112, -190, 120, -192, 130, -192).line(176, -192).cube(204, -190, 210, -140, 214, -96).line(216, -34)
		c.fill(body, image.NewUniform(cab))
		c.fill(new(path).move(150, -108).line(150, -168).line(178, -168).cube(194, -164, 200, -130, 203, -108), image.NewUniform(hex(0xa9c9da)))
		c.poly(alpha(white, .3), 162, -108, 176, -166, 184, -160, 174, -108)
		c.rect(112, -48, 104, 16, mix(cab, black, .3))
		c.round(204, -70, 12, 14, 4, hex(0xfff2c4))
		for _, wx := range []float64{-220, -164, -20, 164} {
			c.wheel(wx, -24, 24, dist/24)
		}
	})
}

// bus is about 460 units long.
func (c *canvas) bus(x, y, s, dist float64, col color.NRGBA) {
	c.oval(x, y, 236*math.Abs(s), 10*math.Abs(s), alpha(black, 0.25))
	c.at(x, y, s, func() {
		c.round(-230, -150, 460, 136, 18, col)
		c.rect(-230, -56, 460, 14, cream)
		c.round(-230, -30, 460, 16, 8, mix(col, black, .3))
		for i := range 6 {
			c.round(-214+float64(i)*62, -134, 54, 62, 6, hex(0xb4d3e2))
			c.poly(alpha(white, .28), -206+float64(i)*62, -72, -186+float64(i)*62, -134, -174+float64(i)*62, -134, -194+float64(i)*62, -72)
			c.oval(-187+float64(i)*62, -82, 10, 12, alpha(navy, .45))
			c.disc(-187+float64(i)*62, -101, 7.5, alpha(skins[i%5], .85))
		}
		c.round(162, -134, 62, 84, 8, hex(0xa2c4d6))
		c.round(90, -146, 120, 14, 4, coal)
		c.text(98, -135, 11.5, "7 Harbour", hex(0xffc24b))
		c.round(218, -56, 12, 12, 5, hex(0xfff2c4))
		c.round(-232, -64, 7, 18, 3, hex(0xd8392f))
		for _, wx := range []float64{-150, 140} {
			c.disc(wx, -20, 29, mix(col, black, .5))
			c.wheel(wx, -21, 22, dist/22)
		}
	})
}

// cyclist is about 100 units long and 110 high.
func (c *canvas) cyclist(x, y, s, dist float64, frame color.NRGBA, l look) {
	c.oval(x, y, 50*math.Abs(s), 4*math.Abs(s), alpha(black, 0.22))
	c.at(x, y, s, func() {
		a := dist / 20
		for _, wx := range []float64{-34, 34} {
			c.ring(wx, -20, 20, 3, hex(0x2a2c30))
			for i := range 4 {
				sn, cs := math.Sincos(a + float64(i)*math.Pi/4)
				c.stroke(wx-cs*18, -20-sn*18, wx+cs*18, -20+sn*18, .9, alpha(hex(0x888e96), .9))
			}
		}
		sn, cs := math.Sincos(a * .6)
		foot := func(k float64, shade float64) {
			fx, fy := -2+k*cs*9, -20+k*sn*9
			kx, ky := 12+k*cs*4, -44+k*sn*4
			c.stroke(-14, -62, kx, ky, 9.5, mix(l.legs, black, shade))
			c.stroke(kx, ky, fx, fy, 7.5, mix(l.legs, black, shade))
			c.round(fx-4, fy-2, 12, 5, 2, l.shoes)
		}
		foot(-1, .2)
		c.stroke(-34, -20, -2, -20, 3.4, frame)
		c.stroke(-2, -20, -12, -52, 3.4, frame)
		c.stroke(-34, -20, -11, -48, 3, frame)
		c.stroke(-11, -48, 25, -50, 3.4, frame)
		c.stroke(-2, -20, 25, -50, 3.4, frame)
		c.stroke(34, -20, 23, -60, 3.4, frame)
		c.stroke(23, -60, 31, -62, 3, coal)
		c.round(-20, -57, 18, 4.5, 2, coal)
		foot(1, 0)
		c.stroke(-13, -62, 4, -90, 19, l.top)
		c.stroke(5, -88, 16, -74, 7, mix(l.top, black, .1))
		c.stroke(16, -74, 28, -64, 6, l.skin)
		c.oval(12, -104, 8, 9, l.skin)
		if l.hat.A > 0 {
			c.fill(new(path).move(1, -105).cube(0, -119, 22, -119, 22, -107), image.NewUniform(l.hat))
		} else {
			c.fill(new(path).move(3, -100).cube(0, -118, 20, -118, 20, -107).cube(12, -110, 8, -106, 3, -100), image.NewUniform(l.hair))
		}
	})
}

// dog trots on a lead's length of 40 units.
func (c *canvas) dog(x, y, s, step float64, col color.NRGBA) {
	c.oval(x, y, 24*math.Abs(s), 3*math.Abs(s), alpha(black, 0.22))
	c.at(x, y, s, func() {
		sw := math.Sin(step*math.Pi*1.6) * 6
		for i, lx := range []float64{-14, -10, 12, 16} {
			k := sw
			if i%2 == 1 {
				k = -sw
			}
			c.stroke(lx, -14, lx+k, -2, 4, mix(col, black, .12*float64(i%2)))
		}
		c.stroke(-18, -22, -28, -32+math.Sin(step*6)*3, 4, col)
		c.round(-20, -28, 42, 17, 8, col)
		c.stroke(18, -24, 24, -34, 9, col)
		c.oval(28, -36, 9, 7, col)
		c.round(32, -36, 9, 6, 3, col)
		c.oval(23, -38, 4, 7, mix(col, black, .35))
		c.disc(31, -38, 1.3, black)
	})
}
