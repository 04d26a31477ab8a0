package main

import (
	"image/color"
	"math"
)

// harbourGate: a bright morning, a lorry waits for the barrier and drives through.
func harbourGate() *scene {
	s := &scene{name: "harbour-gate", title: "Harbour gate", seconds: 16, audio: "aac", moves: []move{
		{1, 9, "motion", "a lorry comes from the left, waits for the barrier and leaves to the right"},
		{10.5, 15.5, "motion", "a docker in a yellow vest walks from the right to the gatehouse"},
		{0, 16, "minor", "gulls, a flag"},
	}}
	s.back = func(c *canvas) {
		c.sky(0, 430, hex(0x8cc5e3), hex(0xc9e4ec), hex(0xfbeed8))
		c.glow(1010, 150, 230, 1, hex(0xfff3cf), .9)
		c.disc(1010, 150, 44, hex(0xfff6dc))
		c.cloud(240, 140, 1.2, alpha(white, .85))
		c.cloud(640, 90, .9, alpha(white, .7))
		c.cloud(1180, 210, .8, alpha(white, .6))
		c.poly(hex(0xa9c6cf), 0, 396, 180, 352, 380, 380, 560, 344, 820, 384, 1010, 358, 1280, 388, 1280, 440, 0, 440)
		c.sky(398, 470, hex(0x6fb0c4), hex(0x4f93ac))
		for i := range 26 {
			x := float64(i*173%1280) - 20
			c.round(x, 406+float64(i*37%56), 60+float64(i%4)*20, 2.4, 1, alpha(white, .35))
		}
		// A ship at the far quay.
		c.poly(hex(0x35506b), 560, 420, 1000, 420, 972, 452, 590, 452)
		c.poly(brick, 586, 440, 982, 440, 972, 452, 592, 452)
		c.containers(640, 420, .52, 3, 5, 1)
		c.rect(578, 372, 46, 48, cream)
		c.rect(584, 380, 34, 7, navy)
		c.rect(590, 352, 14, 20, brick)
		for i, x := range []float64{120, 400, 1090} {
			c.crane(x, 436, .8+.1*float64(i%2), hex([]uint32{0xd06a4a, 0xd99b45, 0xd06a4a}[i]))
		}
		c.rect(0, 440, width, 80, hex(0xb9b3a4))
		c.rect(0, 440, width, 5, hex(0xd6d0c0))
		c.containers(900, 486, .9, 3, 4, 2)
		c.containers(-30, 486, .8, 2, 4, 5)
		// The fence.
		for i := range 44 {
			x := float64(i) * 30
			if x > 380 && x < 880 {
				continue
			}
			c.rect(x, 440, 3, 84, hex(0x6a7780))
			c.rect(x, 452, 30, 2, hex(0x7d8a92))
			c.rect(x, 504, 30, 2, hex(0x7d8a92))
			c.stroke(x, 504, x+30, 454, 1, alpha(hex(0x7d8a92), .7))
			c.stroke(x, 454, x+30, 504, 1, alpha(hex(0x7d8a92), .7))
		}
		c.sky(520, 720, hex(0x7d828c), hex(0x6a6f7a))
		c.rect(0, 516, width, 9, hex(0xd9d2c0))
		for i := range 8 {
			c.rect(float64(i)*170+20, 668, 96, 8, hex(0xe9d9a0))
		}
		// Gatehouse.
		c.poly(alpha(black, .14), 356, 522, 560, 560, 660, 560, 520, 522)
		c.rect(372, 352, 146, 172, hex(0xf3e7cf))
		c.rect(504, 352, 14, 172, hex(0xdfd0b4))
		c.rect(360, 336, 172, 20, teal)
		c.rect(360, 352, 172, 5, mix(teal, black, .3))
		c.rect(388, 378, 74, 62, hex(0x9cc4d4))
		c.poly(alpha(white, .35), 394, 440, 424, 378, 444, 378, 414, 440)
		c.rect(474, 388, 26, 136, mix(teal, black, .2))
		c.round(396, 456, 60, 26, 4, hex(0xc9b998))
		c.label(446, 350, 14, "GATE 2", cream)
		c.disc(425, 398, 9, hex(0x6f4326))
		c.round(412, 408, 26, 32, 9, navy)
		c.fill2pole(1000, 516)
		c.round(530, 470, 26, 56, 4, hex(0x3b4652))
		c.disc(543, 484, 6, hex(0xd8392f))
		c.bush(300, 522, 1, hex(0x6d9a5a))
		c.bush(1230, 522, 1.2, hex(0x6d9a5a))
	}
	s.frame = func(c *canvas, t float64) {
		for i := range 3 {
			k := math.Mod(t/16+float64(i)*.37, 1)
			c.gull(-40+k*1360, 190+float64(i)*46+math.Sin(k*12)*16, .9-.15*float64(i), t+float64(i))
		}
		c.flag(1000, 372, t)
		if k, on := s.during(1, t); on {
			l := person(2, hex(0x43608a), coal)
			l.vest, l.hat = hex(0xe8d53a), hex(0xf4f4ee)
			c.walk(lerp(1330, 492, k), 552, 104, t*2, -1, l)
		}
		x := -320.0
		if t >= 1 {
			x = lerp(-320, 246, ease(span(t, 1, 3.6)))
		}
		x += 1360 * math.Pow(span(t, 5.2, 9), 1.6)
		open := ease(span(t, 4, 5)) - ease(span(t, 9, 10))
		if x > -310 && x < 1600 {
			c.lorry(x, 640, 1, x, hex(0xe7e2d6), hex(0x3f7d9c))
		}
		// The barrier is nearer than the lorry's lane, so it is drawn above it.
		c.round(532, 552, 30, 100, 5, hex(0x39434f))
		c.rect(532, 572, 30, 8, must)
		c.turned(548, 570, 1, -open*1.25, func() {
			for i := range 9 {
				col := cream
				if i%2 == 0 {
					col = brick
				}
				c.rect(float64(i)*34, -6, 34, 12, col)
			}
			c.round(-26, -10, 34, 20, 6, hex(0x39434f))
		})
		lit := hex(0xd8392f)
		if open > .5 {
			lit = hex(0x58b368)
		}
		c.disc(547, 540, 9, hex(0x23282f))
		c.disc(547, 540, 6, lit)
	}
	return s
}

func (c *canvas) fill2pole(x, y float64) {
	c.rect(x-2, y-180, 4, 180, hex(0xdfe3e6))
	c.disc(x, y-182, 4, must)
}

// flag waves from the pole at x, y.
func (c *canvas) flag(x, y, t float64) {
	for i := range 12 {
		k := float64(i)
		a, b := math.Sin(t*math.Pi-k*.6)*k*.5, math.Sin(t*math.Pi-(k+1)*.6)*(k+1)*.5
		x0, x1 := x+k*5, x+k*5+5.6
		c.poly(teal, x0, y-36+a, x1, y-36+b, x1, y-18+b, x0, y-18+a)
		c.poly(cream, x0, y-18+a, x1, y-18+b, x1, y+b, x0, y+a)
	}
}

// loadingBay: night, lamps over three docks, a forklift at work.
func loadingBay() *scene {
	s := &scene{name: "loading-bay", title: "Loading bay", seconds: 20, moves: []move{
		{2, 8.5, "motion", "a forklift takes a pallet from dock 2 to the right"},
		{11, 16.5, "motion", "the forklift comes back without a load and drives into dock 2"},
		{14.5, 19, "motion", "a worker walks from dock 1 to the left"},
		{0, 0.2, "minor", "the loop begins anew: the forklift has turned and loaded"},
	}}
	truck := func(c *canvas, x float64, box color.NRGBA) {
		c.rect(x-84, 300, 168, 176, mix(box, black, .2))
		c.rect(x-78, 306, 156, 164, box)
		c.rect(x-2, 306, 4, 164, mix(box, black, .35))
		for _, dx := range []float64{-40, 36} {
			c.rect(x+dx, 320, 5, 140, mix(box, white, .3))
		}
		c.round(x-80, 476, 34, 16, 3, hex(0xd8392f))
		c.round(x+46, 476, 34, 16, 3, hex(0xd8392f))
		c.rect(x-70, 490, 36, 34, hex(0x14171f))
		c.rect(x+34, 490, 36, 34, hex(0x14171f))
	}
	s.back = func(c *canvas) {
		c.sky(0, 260, hex(0x0c1430), hex(0x1b2a55), hex(0x33457a))
		for i := range 60 {
			x, y := float64(i*211%1280), float64(i*97%190)
			c.disc(x, y, .8+float64(i%3)*.4, alpha(hex(0xfdf3d0), .35+.1*float64(i%5)))
		}
		c.glow(1120, 96, 120, 1, hex(0xfdf3d0), .35)
		c.disc(1120, 96, 34, hex(0xfdf3d0))
		c.disc(1106, 88, 31, hex(0x1d2951))
		c.crane(110, 250, .7, hex(0x16203f))
		c.crane(950, 246, .6, hex(0x16203f))
		c.rect(0, 190, width, 340, hex(0x3b4a63))
		for i := range 64 {
			c.rect(float64(i)*20, 206, 1.6, 320, hex(0x344259))
		}
		c.rect(0, 182, width, 26, hex(0x2a3750))
		c.rect(0, 204, width, 5, hex(0x52627e))
		for i := range 3 {
			x := 230 + float64(i)*400
			c.rect(x-112, 268, 224, 262, hex(0x222d42))
			c.round(x-34, 214, 68, 44, 6, hex(0xe8b53f))
			c.label(x, 247, 34, string(rune('1'+i)), hex(0x2a2412))
			c.rect(x-96, 284, 192, 246, hex(0x8b93a1))
			for k := range 12 {
				c.rect(x-96, 284+float64(k)*20.4, 192, 2, hex(0x737c8b))
			}
			c.rect(x-112, 300, 16, 230, hex(0x161c28))
			c.rect(x+96, 300, 16, 230, hex(0x161c28))
			for k := range 6 {
				c.poly(hex(0xe8b53f), x-112, 310+float64(k)*38, x-96, 300+float64(k)*38, x-96, 316+float64(k)*38, x-112, 326+float64(k)*38)
				c.poly(hex(0xe8b53f), x+96, 310+float64(k)*38, x+112, 300+float64(k)*38, x+112, 316+float64(k)*38, x+96, 326+float64(k)*38)
			}
		}
		truck(c, 1030, hex(0xd9d4c8))
		// Dock 2 stands open and warm.
		c.rect(534, 284, 192, 246, hex(0xf2c777))
		c.sky2(534, 284, 192, 246)
		c.rect(534, 284, 192, 26, hex(0x8b93a1))
		for i := range 2 {
			c.shelf(548+float64(i)*92, 528, .8)
		}
		c.sky(528, 720, hex(0x2c3547), hex(0x1d2432))
		c.rect(0, 526, width, 6, hex(0x55617a))
		for i := range 3 {
			x := 230 + float64(i)*400
			c.poly(alpha(hex(0xe8b53f), .8), x-130, 720, x-112, 720, x-98, 534, x-106, 534)
			c.poly(alpha(hex(0xe8b53f), .8), x+130, 720, x+112, 720, x+98, 534, x+106, 534)
			c.round(x-20, 192, 40, 12, 4, hex(0xfff0c0))
			c.poly(alpha(hex(0xffe6a0), .10), x-20, 204, x+20, 204, x+190, 620, x-190, 620)
			c.glow(x, 600, 210, 2.6, hex(0xffe0a0), .34)
			c.glow(x, 200, 60, 1, hex(0xfff0c0), .6)
		}
		c.poly(alpha(hex(0xf2c777), .20), 534, 532, 726, 532, 800, 660, 460, 660)
		for i := range 3 {
			c.pallet(60+float64(i)*8, 640-float64(i)*13, .9)
		}
		c.rect(1190, 560, 46, 90, hex(0x42516c))
		c.rect(1186, 552, 54, 12, hex(0x566785))
	}
	s.frame = func(c *canvas, t float64) {
		switch {
		case t >= 2 && t <= 8.5:
			out := ease(span(t, 2, 4.2))
			x := lerp(620, 650, out) + 800*math.Pow(span(t, 4.6, 8.5), 1.3)
			y := lerp(540, 640, out)
			c.forklift(x, y, lerp(.72, 1.05, out), x, true, t)
		case t >= 11 && t <= 14:
			k := ease(span(t, 11, 14))
			x := lerp(1400, 700, k)
			c.forklift(x, 640, -1.05, -x, false, t)
		case t > 14:
			k := ease(span(t, 14, 16.5))
			c.forklift(lerp(700, 630, k), lerp(640, 540, k), lerp(-1.05, -.72, k), -700+k*90, false, t)
		case t < 2:
			c.forklift(620, 540, .72, 0, true, 0)
		}
		if k, on := s.during(2, t); on {
			l := person(4, navy, hex(0x2b3140))
			l.vest, l.hat = hex(0xf08a3c), hex(0xe8d53a)
			c.walk(lerp(300, -60, k), 610, 112, t*2, -1, l)
		}
	}
	return s
}

func (c *canvas) sky2(x, y, w, h float64) {
	c.fill(roundPath(x, y, w, h, 0), shade{stops: nrgba(0xd99a4a, 0xf7d794), y0: y, y1: y + h})
}

func (c *canvas) shelf(x, y, s float64) {
	c.at(x, y, s, func() {
		for r := range 3 {
			yy := -float64(r)*70 - 20
			c.rect(0, yy, 92, 5, hex(0x9a5b33))
			for k := range 3 {
				col := hex([]uint32{0xb98351, 0xc99a66, 0xa5713f}[(r+k)%3])
				h := 34 + float64((r*7+k*5)%4)*5
				c.rect(5+float64(k)*29, yy-h, 25, h, col)
				c.rect(5+float64(k)*29, yy-h+h*.4, 25, 4, alpha(cream, .5))
			}
		}
		c.rect(-2, -200, 5, 200, hex(0x7d4526))
		c.rect(90, -200, 5, 200, hex(0x7d4526))
	})
}

func (c *canvas) pallet(x, y, s float64) {
	c.at(x, y, s, func() {
		c.rect(0, -13, 130, 5, hex(0xb98a58))
		for i := range 3 {
			c.rect(float64(i)*54, -8, 22, 8, hex(0x8f673e))
		}
	})
}

// forklift is about 150 units long with its forks to the right.
func (c *canvas) forklift(x, y, s, dist float64, load bool, t float64) {
	z := math.Abs(s)
	c.oval(x+20*s, y, 110*z, 8*z, alpha(black, .35))
	c.at(x, y, s, func() {
		col := hex(0xf0a032)
		c.rect(66, -170, 7, 160, hex(0x2b3038))
		c.rect(78, -170, 5, 160, hex(0x3b424c))
		c.rect(78, -14, 88, 5, hex(0x2b3038))
		if load {
			c.pallet(84, -14, .64)
			for i := range 4 {
				bx, by := 86+float64(i%2)*38, -58-float64(i/2)*34
				c.rect(bx, by, 37, 33, hex([]uint32{0xc99a66, 0xb98351}[(i+i/2)%2]))
				c.rect(bx, by+14, 37, 4, alpha(cream, .55))
			}
		}
		c.fill(new(path).move(-78, -26).cube(-84, -70, -76, -76, -60, -78).line(-20, -78).line(-6, -54).line(62, -54).line(66, -20).line(-78, -20), imageOf(col))
		c.rect(-78, -34, 144, 8, hex(0x2b3038))
		c.stroke(-56, -78, -50, -150, 5, hex(0x2b3038))
		c.stroke(44, -54, 28, -150, 5, hex(0x2b3038))
		c.round(-60, -156, 98, 8, 4, hex(0x2b3038))
		l := person(1, navy, hex(0x2b3140))
		c.stroke(-30, -80, -24, -108, 22, l.top)
		c.stroke(-18, -102, 10, -84, 7, l.top)
		c.disc(10, -84, 4, l.skin)
		c.oval(-20, -128, 8, 9, l.skin)
		c.fill(new(path).move(-30, -130).cube(-30, -144, -10, -144, -10, -130), imageOf(hex(0xe8d53a)))
		c.wheel(-52, -18, 18, dist/18)
		c.wheel(46, -20, 20, dist/20)
		if math.Mod(t, .8) < .4 && t > 0 {
			c.disc(-40, -162, 7, hex(0xffc24b))
		} else {
			c.disc(-40, -162, 7, hex(0x8a5a20))
		}
		c.round(56, -52, 10, 9, 4, hex(0xfff2c4))
	})
	c.poly(alpha(hex(0xfff0b8), .13), x+62*s, y-48*z, x+300*s, y-20*z, x+300*s, y+16*z, x+62*s, y-38*z)
}

// riverBridge: sunset over an old bridge; a boat, a cyclist, a runner.
func riverBridge() *scene {
	s := &scene{name: "river-bridge", title: "River bridge", seconds: 20, bframes: 2, moves: []move{
		{1, 6.5, "motion", "a cyclist rides over the bridge from left to right"},
		{4, 13, "motion", "a boat comes under the bridge from the right and goes left"},
		{13.5, 19.5, "motion", "two walkers cross the bridge from right to left"},
		{0, 20, "minor", "water"},
	}}
	s.back = func(c *canvas) {
		c.sky(0, 440, hex(0x3d3a6b), hex(0x8b5a86), hex(0xe58a72), hex(0xffd08a))
		c.glow(520, 392, 300, 1.4, hex(0xffe0a0), .75)
		c.disc(520, 388, 52, hex(0xfff0c0))
		for i, x := range []float64{150, 760, 1050} {
			c.cloud(x, 120+float64(i*47%80), 1.3-.2*float64(i), alpha(hex(0xffb9a0), .42))
		}
		c.poly(hex(0x8a6a94), 0, 380, 140, 320, 300, 366, 470, 300, 660, 372, 830, 318, 1010, 362, 1160, 306, 1280, 350, 1280, 450, 0, 450)
		c.poly(hex(0x63537e), 0, 410, 200, 366, 420, 412, 640, 376, 900, 416, 1100, 372, 1280, 400, 1280, 450, 0, 450)
		for i := range 22 {
			x, w, h := float64(i)*62-20, 40+float64(i*13%26), 26+float64(i*29%46)
			c.rect(x, 440-h, w, h, hex(0x4a4168))
			c.poly(hex(0x3f385c), x-3, 440-h, x+w/2, 440-h-18, x+w+3, 440-h)
			if i%2 == 0 {
				c.rect(x+w*.3, 440-h+10, 6, 8, hex(0xffd98a))
				c.rect(x+w*.6, 440-h+10, 6, 8, hex(0xffd98a))
			}
		}
		c.rect(884, 330, 26, 110, hex(0x463d64))
		c.poly(hex(0x3a3356), 880, 330, 897, 270, 914, 330)
		c.sky(438, 720, hex(0xe79a7c), hex(0x9a6689), hex(0x4b4475), hex(0x322f58))
		c.glow(520, 470, 260, .55, hex(0xffe0a0), .55)
		for i := range 60 {
			y := 452 + math.Pow(float64(i)/60, 1.5)*260
			x := float64(i*271%1400) - 60
			c.round(x, y, 50+float64(i*17%90), 1.5+float64(i)/40, 1, alpha(hex(0xffe2c0), .12+.1*float64(i%3)))
		}
	}
	bridge := func(c *canvas) {
		stone, dark := hex(0x7d6a7c), hex(0x5f5068)
		p := new(path).move(-20, 420).line(-20, 372).cube(300, 330, 980, 330, 1300, 372).line(1300, 420).line(1300, 620).line(1180, 620)
		for _, a := range []float64{1180, 760, 340} { // arches, right to left
			p.line(a, 520).cube(a, 400, a-300, 400, a-300, 520).line(a-300, 560)
			if a > 400 {
				p.line(a-420, 560)
			}
		}
		p.line(-20, 560)
		c.fill(p, imageOf(stone))
		for _, a := range []float64{1180, 760, 340} {
			for i := range 15 {
				s, k := math.Sincos(math.Pi * float64(i) / 14)
				c.stroke(a-150+k*150, 520-s*92, a-150+k*168, 520-s*110, 4, dark)
			}
		}
		for _, x := range []float64{820, 400, 1240} {
			c.poly(dark, x-60, 470, x, 490, x, 568, x-60, 568)
			c.poly(mix(stone, white, .1), x-62, 462, x+2, 462, x+2, 474, x-62, 474)
		}
		for i := range 70 {
			x := float64(i*97%1300) - 10
			c.round(x, 396+float64(i*53%70), 22, 7, 2, alpha(dark, .35))
		}
	}
	rail := func(c *canvas) {
		for i := range 45 {
			x := float64(i)*30 - 10
			y := deck(x)
			c.rect(x, y-34, 4, 36, hex(0x53465f))
			c.stroke(x, y-34, x+30, deck(x+30)-34, 5, hex(0x6b5c74))
			c.stroke(x, y-14, x+30, deck(x+30)-14, 2, hex(0x6b5c74))
		}
		for _, x := range []float64{190, 610, 1030} {
			c.lamp(x, deck(x)+2, .8, hex(0x3b3350), true)
			c.glow(x+35, deck(x)-148, 74, 1, hex(0xffe0a0), .55)
		}
	}
	s.frame = func(c *canvas, t float64) {
		for i := range 16 {
			k := math.Sin(t*math.Pi/2 + float64(i))
			c.round(440+float64(i*53%170)+k*10, 466+float64(i)*11, 70-float64(i)*2, 3, 1.5, alpha(hex(0xffeec4), .30))
		}
		boat := func() {
			k, on := s.during(1, t)
			if !on {
				return
			}
			x, y := lerp(1420, -160, k), 600+math.Sin(t*2)*2.5
			c.boat(x, y, t)
		}
		bridge(c)
		boat() // nearer than the bridge's piers
		if k, on := s.during(0, t); on {
			x := lerp(-60, 1340, k)
			l := person(1, must, navy)
			l.hat = brick
			c.cyclist(x, deck(x)+2, .86, x, teal, l)
		}
		if k, on := s.during(2, t); on {
			x := lerp(1340, -90, k)
			a, b := person(0, plum, coal), person(3, teal, hex(0x54432f))
			a.skirt = plum
			c.walk(x+44, deck(x+44)+2, 88, t*2, -1, b)
			c.walk(x, deck(x)+2, 82, t*2+.5, -1, a)
		}
		rail(c)
	}
	return s
}

// deck is the height of the bridge's road at x.
func deck(x float64) float64 {
	k := (x + 20) / 1320
	return 372*((1-k)*(1-k)*(1-k)+k*k*k) + 330*3*k*(1-k) + 8
}

func (c *canvas) boat(x, y, t float64) {
	for i := range 4 {
		c.round(x+90+float64(i)*50, y+8+float64(i)*5, 90-float64(i)*12, 3, 1.5, alpha(white, .4-.08*float64(i)))
	}
	c.at(x, y, -1.1, func() {
		c.fill(new(path).move(-130, -22).line(140, -26).cube(126, 4, 110, 14, 90, 16).line(-104, 16).cube(-122, 10, -128, -6, -130, -22), imageOf(hex(0xf3ead8)))
		c.fill(new(path).move(-126, 0).line(130, -2).cube(118, 10, 104, 14, 90, 16).line(-104, 16).cube(-118, 12, -124, 6, -126, 0), imageOf(brick))
		c.poly(hex(0xd8b98a), -40, -24, -34, -74, 50, -74, 66, -25)
		c.round(-46, -82, 108, 10, 4, navy)
		for i := range 3 {
			c.round(-24+float64(i)*26, -64, 18, 22, 3, hex(0xffe29a))
		}
		c.rect(-90, -96, 4, 72, hex(0x5a4632))
		c.disc(-88, -98, 5, hex(0xffe9a8))
		l := person(2, navy, coal)
		c.stroke(-72, -24, -72, -52, 16, l.top)
		c.oval(-71, -64, 7.5, 8.5, l.skin)
		c.fill(new(path).move(-80, -66).cube(-80, -78, -62, -78, -62, -66), imageOf(navy))
		c.disc(136, -34, 4, hex(0x58b368))
	})
}
