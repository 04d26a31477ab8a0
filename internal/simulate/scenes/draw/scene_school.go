package main

import (
	"image/color"
	"math"
)

// schoolCrossing: an autumn morning; a warden, children, a car that waits.
func schoolCrossing() *scene {
	s := &scene{name: "school-crossing", title: "School crossing", seconds: 20, moves: []move{
		{0.5, 4, "motion", "a green car passes from left to right"},
		{4.2, 14, "motion", "three children come from the right; the warden steps out and they cross to the school"},
		{7, 17.5, "motion", "a yellow car stops at the crossing, waits, goes on to the left"},
	}}
	s.back = func(c *canvas) {
		c.sky(0, 400, hex(0x9fcbe0), hex(0xd8e8e4), hex(0xf7ecd6))
		c.cloud(220, 90, 1.1, alpha(white, .85))
		c.cloud(1060, 120, 1.2, alpha(white, .8))
		// The school.
		c.rect(330, 150, 620, 246, hex(0xc9745a))
		for i := range 12 {
			for k := range 28 {
				c.rect(334+float64(k)*22+float64(i%2)*9, 156+float64(i)*20, 9, 1.5, alpha(hex(0x8f4a3a), .3))
			}
		}
		c.poly(hex(0x6b4a44), 312, 154, 350, 104, 930, 104, 968, 154)
		c.poly(hex(0xd98568), 560, 154, 640, 74, 720, 154)
		c.clockFace(640, 124, 19, 7.9)
		c.rect(556, 166, 168, 34, cream)
		c.label(640, 191, 24, "SCHOOL", hex(0x7a3f36))
		for r := range 2 {
			for i := range 8 {
				if i == 3 || i == 4 {
					continue
				}
				x, y := 352+float64(i)*74, 180+float64(r)*104
				c.rect(x-4, y-4, 60, 72, cream)
				c.rect(x, y, 52, 64, hex(0x9cc4d4))
				c.rect(x+25, y, 3, 64, cream)
				c.rect(x, y+30, 52, 3, cream)
				for q := range 3 {
					c.disc(x+8+float64(q)*16, y+54, 5, []color.NRGBA{{224, 165, 58, 255}, {47, 143, 138, 255}, {196, 85, 60, 255}}[(q+i)%3])
				}
			}
		}
		c.rect(588, 272, 104, 124, hex(0x4c6f73))
		c.rect(638, 272, 4, 124, hex(0x3a5558))
		c.rect(598, 284, 36, 50, hex(0xa9cdd6))
		c.rect(646, 284, 36, 50, hex(0xa9cdd6))
		c.sky(394, 470, hex(0x9db36a), hex(0x8aa35c))
		c.poly(hex(0xd9c9aa), 588, 396, 692, 396, 740, 474, 540, 474)
		for i := range 40 {
			x := float64(i) * 32
			if x > 500 && x < 770 {
				continue
			}
			c.rect(x, 414, 4, 48, hex(0xf6efe0))
			c.poly(hex(0xf6efe0), x, 414, x+2, 408, x+4, 414)
			c.rect(x, 424, 32, 4, hex(0xf6efe0))
			c.rect(x, 448, 32, 4, hex(0xf6efe0))
		}
		for i, x := range []float64{110, 280, 1010, 1190} {
			c.tree(x, 442, 1.05+.15*float64(i%2), []color.NRGBA{{217, 142, 58, 255}, {200, 98, 58, 255}, {224, 176, 74, 255}, {190, 104, 52, 255}}[i])
		}
		c.rect(0, 466, width, 34, hex(0xd8ccb6))
		c.rect(0, 496, width, 8, hex(0xb3a891))
		c.sky(504, 668, hex(0x757982), hex(0x666a74))
		for i := range 12 {
			if x := float64(i)*120 + 10; x < 470 || x > 720 {
				c.rect(x, 582, 66, 5, hex(0xe9e2d0))
			}
		}
		for i := range 7 { // the zebra
			k0, k1 := 504.0, 668.0
			a := lerp(540, 740, float64(i)/7)
			b := lerp(480, 800, float64(i)/7)
			c.poly(hex(0xf3efe4), a, k0, a+15, k0, b+25, k1, b, k1)
		}
		c.rect(0, 664, width, 8, hex(0xb3a891))
		c.rect(0, 670, width, 50, hex(0xd8ccb6))
		for i := range 30 {
			x, y := float64(i*197%1280), 470+float64(i*61%26)
			if i%3 == 0 {
				y = 680 + float64(i*31%34)
			}
			c.oval(x, y, 5, 2.4, []color.NRGBA{{217, 142, 58, 255}, {190, 84, 48, 255}, {224, 176, 74, 255}}[i%3])
		}
		for _, x := range []float64{500, 790} {
			c.rect(x-2, 330, 4, 150, hex(0x5c646c))
			c.disc(x, 322, 17, hex(0xffd24a))
			c.disc(x, 322, 13, hex(0xffb92e))
		}
	}
	s.frame = func(c *canvas, t float64) {
		if k, on := s.during(0, t); on {
			c.car(lerp(-130, 1410, k), 652, 1.05, lerp(-130, 1410, k), forest, false)
		}
		wx := 460 + 110*(ease(span(t, 5, 6))-ease(span(t, 12.8, 14)))
		warden := person(3, hex(0x4a5a70), navy)
		warden.vest, warden.hat, warden.long = hex(0xe8e23a), navy, false
		step := 0.0
		if t > 5 && t < 6 || t > 12.8 && t < 14 {
			step = t * 2.2
		}
		// Car that waits, farther lane.
		if t >= 7 && t <= 17.5 {
			x := 1430 - 520*ease(span(t, 7, 9)) - 1060*math.Pow(span(t, 13.8, 17.5), 1.5)
			c.car(x, 566, -.92, x, hex(0xe3b23c), false)
		}
		for i := range 3 {
			come := span(t, 4.2, 6.4)
			q := span(t, 6.6+float64(i)*.8, 11.4+float64(i)*.8)
			l := person(i+1, []color.NRGBA{{196, 85, 60, 255}, {47, 143, 138, 255}, {122, 63, 102, 255}}[i], denim)
			l.pack = []color.NRGBA{{224, 165, 58, 255}, {196, 85, 60, 255}, {63, 107, 75, 255}}[i]
			x, y, h, st, dir := lerp(1330, 610, come)+float64(i)*52, 702.0-float64(i)*4, 96.0, 0.0, -1.0
			if come > 0 && come < 1 {
				st = t * 2.8
			}
			if q > 0 {
				dir = 1
				y = lerp(y, 474, q)
				x = lerp(x, 612+float64(i)*18, q)
				h = lerp(96, 66, q)
				if q < 1 {
					st = t * 2.6
				}
			}
			if come > 0 && t < 14 {
				c.walk(x, y, h, st, dir, l)
			}
		}
		c.stroke(wx+24, 650, wx+24, 500, 4, hex(0xf3efe4))
		c.disc(wx+24, 492, 26, hex(0xf3efe4))
		c.disc(wx+24, 492, 22, brick)
		c.label(wx+24, 498, 14, "STOP", white)
		c.walk(wx, 652, 138, step, 1, warden)
	}
	return s
}

// schoolYard: noon; a ball game, a skipping girl, shade under a tree.
func schoolYard() *scene {
	s := &scene{name: "school-yard", title: "School yard", seconds: 20, moves: []move{
		{1, 8, "motion", "two children pass a ball to and fro"},
		{9.5, 14, "motion", "a girl skips from right to left"},
		{15.5, 19, "motion", "a boy runs from left to right"},
	}}
	s.back = func(c *canvas) {
		c.sky(0, 336, hex(0x79bfe8), hex(0xbfe3ef))
		c.cloud(330, 80, 1.2, alpha(white, .95))
		c.cloud(820, 110, 1, alpha(white, .9))
		c.rect(0, 120, 300, 200, hex(0xf0dfba))
		c.rect(-10, 106, 322, 20, hex(0x8f5a48))
		for i := range 3 {
			c.rect(30+float64(i)*90, 160, 62, 90, white)
			c.rect(35+float64(i)*90, 165, 52, 80, hex(0x9cc8da))
		}
		for i := range 9 {
			c.tree(360+float64(i)*118, 318, .8+.1*float64(i%3), mix(hex(0x6f9f58), hex(0x8fb866), float64(i%4)/3))
		}
		c.rect(0, 306, width, 30, hex(0x84a860))
		for i := range 43 {
			c.rect(float64(i)*30, 268, 2.4, 66, hex(0x5f8f86))
		}
		c.rect(0, 270, width, 4, hex(0x5f8f86))
		c.rect(0, 328, width, 4, hex(0x5f8f86))
		c.sky(334, 720, hex(0xc98a66), hex(0xd89b74))
		// Court lines in perspective.
		line := alpha(hex(0xfdf3e4), .85)
		c.poly(line, 300, 372, 980, 372, 984, 377, 296, 377)
		c.poly(line, 300, 372, 306, 372, 96, 700, 84, 700)
		c.poly(line, 974, 372, 980, 372, 1196, 700, 1184, 700)
		c.poly(line, 84, 694, 1196, 694, 1198, 702, 82, 702)
		c.poly(line, 200, 518, 1080, 518, 1084, 524, 196, 524)
		c.oval(640, 521, 104, 40, line)
		c.oval(640, 521, 98, 36, hex(0xd09471))
		c.rect(540, 518, 200, 5, line)
		// Hopscotch.
		for i := range 5 {
			y := 560 + float64(i)*28
			x := 1010 - float64(i)*3
			cols := []color.NRGBA{{242, 196, 76, 255}, {111, 178, 198, 255}, {225, 110, 90, 255}}
			if i%2 == 0 {
				c.poly(cols[i%3], x, y, x+40, y, x+41, y+24, x-1, y+24)
			} else {
				c.poly(cols[(i+1)%3], x-22, y, x+19, y, x+19, y+24, x-24, y+24)
				c.poly(cols[(i+2)%3], x+22, y, x+62, y, x+64, y+24, x+22, y+24)
			}
		}
		// Hoop.
		c.rect(197, 200, 8, 210, hex(0x4a5560))
		c.round(150, 150, 104, 74, 5, hex(0xfdf8ee))
		c.round(180, 176, 44, 34, 2, brick)
		c.round(185, 181, 34, 24, 1, hex(0xfdf8ee))
		c.oval(202, 224, 24, 6, hex(0xe8762c))
		for i := range 6 {
			c.stroke(180+float64(i)*9, 226, 188+float64(i)*5.4, 256, 1.2, alpha(white, .9))
		}
		// A tree with a bench in its shade.
		c.oval(1130, 470, 150, 26, alpha(hex(0x6a3f2c), .28))
		c.tree(1140, 462, 2.1, hex(0x6c9f50))
		c.rect(1040, 440, 120, 8, hex(0xa8703f))
		c.rect(1040, 420, 120, 7, hex(0xa8703f))
		for _, x := range []float64{1048, 1146} {
			c.rect(x, 420, 5, 52, hex(0x5c646c))
		}
	}
	s.frame = func(c *canvas, t float64) {
		a, b := person(1, brick, denim), person(4, teal, coal)
		a.long = true
		bx, by := 452.0, 560.0
		sa, sb := 0.0, 0.0
		if k, on := s.during(0, t); on {
			n := k * 4
			leg := math.Mod(n, 1)
			if int(n)%2 == 0 {
				bx = lerp(452, 820, leg)
			} else {
				bx = lerp(820, 452, leg)
			}
			by = 560 - math.Abs(math.Sin(leg*math.Pi*2))*60*(1-leg*.4)
			sa, sb = math.Sin(t*3)*.4, math.Cos(t*3)*.4
		}
		c.walk(420, 574, 156, sa, 1, a)
		c.walk(856, 574, 148, sb, -1, b)
		c.oval(bx, 574, 14, 3.4, alpha(black, .22))
		c.turned(bx, by, 1, bx/16, func() {
			c.disc(0, 0, 15, hex(0xe8762c))
			c.stroke(-14, 0, 14, 0, 1.6, hex(0x8a3f18))
			c.stroke(0, -14, 0, 14, 1.6, hex(0x8a3f18))
		})
		if k, on := s.during(1, t); on {
			x, hop := lerp(1340, -80, k), math.Abs(math.Sin(t*math.Pi*1.6))*26
			l := person(3, hex(0xf0c24b), cream)
			l.skirt = plum
			c.oval(x, 660, 26, 4, alpha(black, .2))
			c.walk(x, 660-hop, 150, t*1.6, -1, l)
			sn, cs := math.Sincos(t * math.Pi * 3.2)
			px, py := x+cs*4, 660-hop-76-sn*100
			c.stroke(x-20, 660-hop-70, px-8, py, 1.8, brick)
			c.stroke(px-8, py, x+14, 660-hop-70, 1.8, brick)
		}
		if k, on := s.during(2, t); on {
			l := person(2, hex(0x4f8fbf), navy)
			l.pack = must
			c.walk(lerp(-80, 1360, k), 690, 172, t*3.4, 1, l)
		}
	}
	return s
}

// corridor: evening in the school, seen down its length; somebody's steps.
func corridor() *scene {
	s := &scene{name: "corridor", title: "School corridor", seconds: 16, audio: "ulaw", night: true, moves: []move{
		{2, 8, "motion", "the caretaker walks from the far door towards the camera and out on the right"},
		{10.5, 14, "motion", "a cat crosses from left to right"},
		{0, 16, "minor", "one lamp flickers"},
	}}
	const vx, vy = 640.0, 300.0
	// wall maps depth k (0 far, 1 near) to the picture.
	px := func(x, k float64) float64 { return vx + (x-vx)*(0.16+0.84*k) }
	py := func(y, k float64) float64 { return vy + (y-vy)*(0.16+0.84*k) }
	quad := func(c *canvas, col color.NRGBA, x0, y0, k0, x1, y1, k1 float64) {
		c.poly(col, px(x0, k0), py(y0, k0), px(x1, k1), py(y0, k1), px(x1, k1), py(y1, k1), px(x0, k0), py(y1, k0))
	}
	s.back = func(c *canvas) {
		c.rect(0, 0, width, height, hex(0x2b3a4a))
		// Ceiling, floor, walls.
		c.poly(hex(0x5a6b78), 0, -100, 1280, -100, px(1280, 0), py(-100, 0), px(0, 0), py(-100, 0))
		c.fill(new(path).move(0, 720).line(1280, 720).line(px(1280, 0), py(720, 0)).line(px(0, 0), py(720, 0)), shade{stops: nrgba(0x8c8168, 0x6f6a5c, 0x54545a), y0: py(720, 0), y1: 720})
		c.fill(new(path).move(0, -100).line(px(0, 0), py(-100, 0)).line(px(0, 0), py(720, 0)).line(0, 720), imageOf(hex(0x6f8a86)))
		c.fill(new(path).move(1280, -100).line(px(1280, 0), py(-100, 0)).line(px(1280, 0), py(720, 0)).line(1280, 720), imageOf(hex(0x7f9791)))
		c.rect(px(0, 0), py(-100, 0), px(1280, 0)-px(0, 0), py(720, 0)-py(-100, 0), hex(0xa9b5a4))
		// Wainscot.
		quad(c, hex(0x4c6664), 0, 470, 0, 0, 720, 1)
		quad(c, hex(0x587370), 1280, 470, 0, 1280, 720, 1)
		// Lockers on the left, doors on the right.
		for i := range 9 {
			k0, k1 := math.Pow(float64(i)/9, 2.1), math.Pow(float64(i+1)/9, 2.1)
			col := []color.NRGBA{{196, 112, 74, 255}, {206, 150, 72, 255}, {84, 130, 140, 255}}[i%3]
			quad(c, col, 0, 230, k0, 0, 660, k1)
			m0, m1 := lerp(k0, k1, .12), lerp(k0, k1, .88)
			quad(c, mix(col, black, .12), 0, 246, m0, 0, 644, m1)
			for r := range 3 {
				quad(c, mix(col, black, .35), 0, 268+float64(r)*16, lerp(k0, k1, .3), 0, 274+float64(r)*16, lerp(k0, k1, .7))
			}
		}
		for i := range 3 {
			a := 0.1 + float64(i)*.27
			k0, k1 := math.Pow(a, 1.6), math.Pow(a+.17, 1.6)
			quad(c, hex(0xe4d8bd), 1280, 170, k0, 1280, 720, k1)
			quad(c, hex(0x9a6a44), 1280, 190, lerp(k0, k1, .1), 1280, 720, lerp(k0, k1, .9))
			quad(c, hex(0xf2d08a), 1280, 240, lerp(k0, k1, .3), 1280, 400, lerp(k0, k1, .7))
			m := math.Pow(a+.22, 1.6)
			quad(c, hex(0xc9a24f), 1280, 250, math.Pow(a+.19, 1.6), 1280, 390, m+.035)
		}
		// The far door with a window to the evening.
		fx, fy := px(0, 0), py(720, 0)
		c.rect(fx+58, fy-84, 84, 84, hex(0x6b4a36))
		c.rect(fx+64, fy-78, 33, 50, hex(0xe58f72))
		c.rect(fx+103, fy-78, 33, 50, hex(0xe59a78))
		c.rect(fx+99, fy-84, 2, 84, hex(0x4a3325))
		c.round(fx+74, fy-104, 52, 14, 2, hex(0x2f8f58))
		c.label(fx+100, fy-93, 11, "EXIT", white)
		for i := range 8 { // floor tiles
			k := math.Pow(float64(i)/8, 1.9)
			c.rect(px(0, k), py(720, k), px(1280, k)-px(0, k), 1+k*2, alpha(hex(0x3c3a38), .35))
		}
		for i := -4; i <= 4; i++ {
			x := vx + float64(i)*160
			c.poly(alpha(hex(0x3c3a38), .35), px(x, 0), py(720, 0), px(x, 0)+1, py(720, 0), x+2, 720, x-1, 720)
		}
		for i := range 5 {
			k := math.Pow((float64(i)+.4)/5, 1.8)
			c.lamp2(px(560, k), px(720, k), py(-100, k), py(-100, k*1.12+.02), 1)
			c.glow(vx, py(700, k), 150+330*k, 2.8, hex(0xfff0c8), .16)
		}
		c.glow(vx, 300, 300, 1, hex(0xfff0c8), .18)
	}
	s.frame = func(c *canvas, t float64) {
		k := math.Pow(2.4/5, 1.8)
		if math.Mod(t*7, 5) < .6 {
			c.lamp2(px(560, k), px(720, k), py(-100, k), py(-100, k*1.12+.02), .25)
		}
		if q, on := s.during(0, t); on {
			d := math.Pow(q, 2.2)
			x := px(lerp(660, 1120, q), d)
			y := py(716, d)
			h := lerp(64, 470, d)
			l := person(0, hex(0x4a6a8a), hex(0x33404f))
			l.hat = hex(0x33404f)
			l.bag = must
			c.oval(x, y, h*.24, h*.04, alpha(black, .25))
			c.walk(x, y, h, t*2, 1, l)
		}
		if q, on := s.during(1, t); on {
			x := lerp(180, 1190, q)
			c.cat(x, 596, 1.25, t*3)
		}
	}
	return s
}

// lamp2 is a ceiling light.
func (c *canvas) lamp2(x0, x1, y0, y1, on float64) {
	c.poly(mix(hex(0x59646c), hex(0xfff6dc), on), x0, y0, x1, y0, x1, y1, x0, y1)
}

func (c *canvas) cat(x, y, s, step float64) {
	c.oval(x, y, 34*s, 4*s, alpha(black, .28))
	c.at(x, y, s, func() {
		col := hex(0xd98a45)
		sw := math.Sin(step*math.Pi) * 7
		for i, lx := range []float64{-18, -13, 14, 19} {
			k := sw
			if i%2 == 1 {
				k = -sw
			}
			c.stroke(lx, -16, lx+k, -2, 5, mix(col, black, .12*float64(i%2)))
		}
		c.fill(new(path).move(-22, -26).cube(-44, -30, -40, -54, -48, -62).cube(-34, -54, -36, -36, -20, -32), imageOf(col))
		c.round(-24, -34, 50, 20, 10, col)
		for i := range 3 {
			c.rect(-12+float64(i)*10, -34, 4, 10, mix(col, black, .25))
		}
		c.disc(30, -38, 11, col)
		c.poly(col, 22, -44, 24, -56, 31, -48)
		c.poly(col, 31, -48, 38, -56, 39, -43)
		c.disc(35, -40, 1.5, black)
		c.oval(40, -36, 2, 1.4, hex(0xf4b8a0))
	})
}
