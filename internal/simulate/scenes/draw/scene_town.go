package main

import (
	"image/color"
	"math"
)

// marketSquare: stalls before the town hall, a fountain, people at leisure.
func marketSquare() *scene {
	s := &scene{name: "market-square", title: "Market square", seconds: 20, moves: []move{
		{0.5, 7, "motion", "a woman with a bag crosses from left to right"},
		{5, 12, "motion", "a man and his dog cross from right to left"},
		{14, 19, "motion", "a child runs after a balloon from left to right"},
		{0, 20, "minor", "the fountain, pigeons"},
	}}
	s.back = func(c *canvas) {
		c.sky(0, 460, hex(0x6fb6e0), hex(0xb9dfee), hex(0xf4f0e0))
		c.cloud(180, 110, 1.2, alpha(white, .9))
		c.cloud(980, 80, 1.0, alpha(white, .85))
		c.cloud(1190, 170, .7, alpha(white, .7))
		c.house(house{x: -40, y: 450, w: 210, h: 250, wall: hex(0xe8b98a), roof: hex(0xa2543f), cols: 3, rows: 3, gable: true})
		c.house(house{x: 172, y: 450, w: 180, h: 220, wall: hex(0xd98f70), roof: hex(0x8a4638), cols: 3, rows: 3, gable: true})
		c.house(house{x: 930, y: 450, w: 170, h: 236, wall: hex(0xe9cf96), roof: hex(0x9c5a3c), cols: 3, rows: 3, gable: true})
		c.house(house{x: 1102, y: 450, w: 220, h: 210, wall: hex(0x9dbfae), roof: hex(0x6f5346), cols: 4, rows: 3})
		// The town hall.
		c.rect(370, 236, 544, 214, hex(0xf3e3c3))
		c.poly(hex(0x9c4f3d), 352, 240, 400, 186, 884, 186, 932, 240)
		c.rect(584, 92, 116, 160, hex(0xf7ead0))
		c.rect(684, 92, 16, 160, hex(0xe6d3b0))
		c.poly(hex(0x55897e), 570, 96, 642, 12, 714, 96)
		c.disc(642, 10, 5, must)
		c.rect(576, 90, 132, 9, hex(0xd9c49b))
		for i := range 9 {
			x := 392 + float64(i)*60
			if i == 4 {
				continue
			}
			c.round(x, 262, 30, 66, 15, hex(0xfffaf0))
			c.round(x+4, 266, 22, 60, 11, hex(0x8fb7c9))
			c.rect(x+14, 266, 2, 60, hex(0xfffaf0))
		}
		c.rect(370, 348, 544, 10, hex(0xd9c49b))
		for i := range 8 {
			x := 384 + float64(i)*66
			c.round(x, 372, 50, 110, 25, hex(0xb99a74))
			c.round(x+6, 380, 38, 110, 19, hex(0x5f4a3c))
		}
		c.rect(602, 270, 80, 3, hex(0xd9c49b))
		c.sky(448, 720, hex(0xd8c6a8), hex(0xe9dcc2))
		c.tiles(450, 720, 640, 120, 150, alpha(hex(0xb39b78), .35))
		c.stall(196, 540, 1, brick, 0)
		c.stall(1080, 548, 1.05, forest, 1)
		c.stall(930, 510, .82, must, 2)
		c.tree(60, 560, 1.3, hex(0x7fae5c))
		c.tree(1250, 580, 1.4, hex(0x76a455))
		// The fountain.
		c.oval(640, 566, 150, 34, hex(0xa99a84))
		c.oval(640, 556, 150, 34, hex(0xcfc2aa))
		c.oval(640, 554, 132, 27, hex(0x6fb2c6))
		c.oval(640, 554, 132, 27, alpha(white, .12))
		c.poly(hex(0xbfb199), 626, 556, 654, 556, 648, 480, 632, 480)
		c.oval(640, 482, 46, 11, hex(0xcfc2aa))
		c.oval(640, 479, 38, 8, hex(0x86c2d2))
		c.clockFace(642, 136, 32, 10.15)
		for i, x := range []float64{420, 836} {
			c.lamp(x, 560+float64(i)*10, .9, hex(0x3f4a52), false)
		}
	}
	s.frame = func(c *canvas, t float64) {
		for i := range 18 {
			k := math.Mod(t*.9+float64(i)/18, 1)
			dir := float64(i%6) - 2.5
			x, y := 640+dir*k*32, 470-math.Sin(k*math.Pi)*46+k*84
			c.disc(x, y, 3.2-1.2*k, alpha(hex(0xeaf7fb), .85))
		}
		c.ring(640, 556, 30+math.Mod(t*20, 60), 1.4, alpha(white, .25))
		for i := range 5 {
			x := 470 + float64(i)*34 + float64(i%2)*210
			peck := math.Max(0, math.Sin(t*3+float64(i)*1.7)) * 5
			c.pigeon(x, 640+float64(i*23%40), 1, peck)
		}
		if k, on := s.during(0, t); on {
			l := person(3, hex(0xc24a52), navy)
			l.skirt, l.bag, l.long = hex(0x8f2f3c), must, true
			c.walk(lerp(-60, 1340, k), 640, 150, t*2, 1, l)
		}
		if k, on := s.during(1, t); on {
			x := lerp(1340, -100, k)
			l := person(2, teal, hex(0x5b4a3a))
			l.hat = hex(0x6b5645)
			c.stroke(x-14, 690-74, x-70, 690-34, 1.6, hex(0x4a3a2c))
			c.walk(x, 690, 164, t*2, -1, l)
			c.dog(x-92, 692, -1.05, t*2.4, hex(0xc98f52))
		}
		if k, on := s.during(2, t); on {
			x := lerp(-60, 1340, k)
			l := person(1, hex(0xf0c24b), denim)
			l.long = true
			c.stroke(x+26, 606, x+96, 500+math.Sin(t*3)*10, 1.2, alpha(coal, .7))
			c.oval(x+98, 478+math.Sin(t*3)*10, 21, 26, brick)
			c.oval(x+91, 470+math.Sin(t*3)*10, 5, 8, alpha(white, .4))
			c.walk(x, 670, 104, t*3.2, 1, l)
		}
	}
	return s
}

func (c *canvas) pigeon(x, y, s, peck float64) {
	c.oval(x, y, 11*s, 2*s, alpha(black, .2))
	c.at(x, y, s, func() {
		c.oval(0, -8, 11, 6.5, hex(0x8d97a6))
		c.poly(hex(0x76808f), -6, -9, -19, -6, -7, -4)
		c.oval(9, -14+peck, 4.6, 5, hex(0x7a8494))
		c.poly(must, 12, -15+peck, 18, -13+peck, 12, -12+peck)
		c.stroke(0, -3, 0, 0, 1.4, brick)
	})
}

// stall sells fruit, bread or flowers under a striped roof.
func (c *canvas) stall(x, y, s float64, col color.NRGBA, kind int) {
	c.oval(x, y, 130*s, 12*s, alpha(black, .15))
	c.at(x, y, s, func() {
		for _, px := range []float64{-104, 98} {
			c.rect(px, -176, 6, 176, hex(0x8a6a4a))
		}
		c.rect(-104, -150, 208, 96, alpha(hex(0x4a3a2c), .25))
		l := person(kind*2+1, mix(col, white, .5), coal)
		c.at(-10, -10, 1.05, func() { c.figure(0, l) })
		c.rect(-112, -64, 224, 64, hex(0xb98a5a))
		for i := range 8 {
			c.rect(-112+float64(i)*28, -64, 2, 64, hex(0x9c7046))
		}
		c.rect(-118, -72, 236, 10, hex(0xcfa06c))
		for i := range 5 {
			bx := -108 + float64(i)*44
			c.rect(bx, -88, 40, 16, hex(0x8f673e))
			for k := range 6 {
				fruit := hex([]uint32{0xd8493a, 0xe9a13b, 0x8fb04a, 0xf0d24f, 0x9a4f7a}[(i+kind)%5])
				c.disc(bx+6+float64(k%4)*9.4, -90-float64(k/4)*6, 6, mix(fruit, white, .08*float64(k%3)))
			}
		}
		for i := range 8 {
			stripe := cream
			if i%2 == 0 {
				stripe = col
			}
			x0, x1 := -100+float64(i)*25, -75+float64(i)*25
			w0, w1 := -128+float64(i)*32, -96+float64(i)*32
			c.poly(stripe, x0, -200, x1, -200, w1, -156, w0, -156)
			c.fill(new(path).move(w0, -156).line(w1, -156).cube(w1, -138, w0, -138, w0, -156), imageOf(mix(stripe, black, .08)))
		}
	})
}

// highStreet: late light on shop fronts; a bus, cars, a cyclist.
func highStreet() *scene {
	s := &scene{name: "high-street", title: "High street", seconds: 18, moves: []move{
		{0.5, 4, "motion", "a red car passes from left to right"},
		{5, 11, "motion", "the bus to the harbour passes from right to left"},
		{8, 13, "motion", "a cyclist passes from left to right"},
		{14, 17.5, "motion", "a white van passes from right to left"},
	}}
	s.back = func(c *canvas) {
		c.sky(0, 510, hex(0xf2b880), hex(0xf8d8a8), hex(0xfdeed0))
		c.cloud(300, 60, 1.1, alpha(hex(0xfff4e4), .8))
		c.cloud(900, 90, 1.3, alpha(hex(0xfff4e4), .7))
		c.house(house{x: -60, y: 500, w: 260, h: 380, wall: hex(0xc9705a), roof: hex(0x6b3f36), cols: 3, rows: 3, shop: "BAKERY", awning: must, lit: 1 << 4})
		c.house(house{x: 202, y: 500, w: 220, h: 330, wall: hex(0xe6c58c), roof: hex(0x94563f), cols: 3, rows: 2, shop: "BOOKS", awning: teal, gable: true})
		c.house(house{x: 424, y: 500, w: 270, h: 410, wall: hex(0x7f9aa6), roof: hex(0x47545c), cols: 4, rows: 4, shop: "PHARMACY", awning: forest, lit: 1<<6 | 1<<9})
		c.house(house{x: 696, y: 500, w: 210, h: 340, wall: hex(0xe9a583), roof: hex(0x8a4638), cols: 3, rows: 2, shop: "CAFE", awning: brick, gable: true})
		c.house(house{x: 908, y: 500, w: 240, h: 370, wall: hex(0xf0dcb4), roof: hex(0x7a5546), cols: 3, rows: 3, shop: "FLOWERS", awning: plum, lit: 1 << 2})
		c.house(house{x: 1150, y: 500, w: 200, h: 320, wall: hex(0x9aa77c), roof: hex(0x5c5340), cols: 3, rows: 2, shop: "SHOES", awning: navy})
		c.poly(alpha(hex(0xffe2b0), .14), 0, 0, 520, 0, 120, 500, 0, 500)
		c.rect(0, 498, width, 52, hex(0xd5c4ab))
		for i := range 32 {
			c.rect(float64(i)*42, 500, 1.6, 48, alpha(hex(0x9c8a70), .5))
		}
		c.rect(0, 546, width, 9, hex(0xb5a58c))
		c.sky(555, 720, hex(0x6d6a72), hex(0x5a5863))
		for i := range 10 {
			c.rect(float64(i)*140+10, 630, 80, 5, hex(0xe7dcc0))
		}
		c.rect(0, 700, width, 20, hex(0xb5a58c))
		for i, x := range []float64{182, 560, 900, 1180} {
			c.tree(x, 544, .72+.05*float64(i%2), hex(0xa8a04c))
		}
		c.lamp(384, 546, 1, hex(0x4a4440), false)
		c.lamp(1020, 546, 1, hex(0x4a4440), false)
		// A cafe table in front of the cafe.
		for _, x := range []float64{742, 812} {
			c.stroke(x, 546, x, 520, 3, hex(0x5a4a3c))
			c.oval(x, 519, 20, 4, cream)
			c.round(x-34, 512, 16, 4, 2, brick)
			c.stroke(x-32, 514, x-32, 546, 2, hex(0x5a4a3c))
			c.stroke(x-20, 514, x-20, 546, 2, hex(0x5a4a3c))
			c.stroke(x-34, 514, x-36, 494, 2, hex(0x5a4a3c))
		}
		c.walk(470, 546, 96, 0, 1, person(1, plum, navy))
	}
	s.frame = func(c *canvas, t float64) {
		if k, on := s.during(1, t); on {
			x := lerp(1540, -280, k)
			c.bus(x, 612, -1, x, hex(0xd2493a))
		}
		if k, on := s.during(3, t); on {
			x := lerp(1420, -150, k)
			c.van(x, 612, -1, x, hex(0xf4f1ea), teal)
		}
		if k, on := s.during(2, t); on {
			x := lerp(-70, 1350, k)
			l := person(0, hex(0xf0c24b), navy)
			l.hat = teal
			c.cyclist(x, 664, 1.15, x, brick, l)
		}
		if k, on := s.during(0, t); on {
			x := lerp(-130, 1410, k)
			c.car(x, 690, 1.15, x, hex(0xb8382f), false)
		}
	}
	return s
}

// lobby: the town hall inside, daylight through tall windows, a lift.
func lobby() *scene {
	s := &scene{name: "lobby", title: "Town hall lobby", seconds: 18, moves: []move{
		{1, 6.5, "motion", "a man with a case walks from the left to the desk"},
		{8, 13, "motion", "the lift opens, a woman walks out to the left"},
		{14, 17.5, "motion", "the man walks from the desk to the left"},
		{0, 18, "minor", "the second hand of the clock"},
	}}
	s.back = func(c *canvas) {
		c.sky(0, 520, hex(0xeadfcb), hex(0xf5ecdc))
		for i := range 3 {
			x := 60 + float64(i)*210
			c.round(x-10, 60, 170, 420, 85, hex(0xfffaf0))
			c.fill(roundPath(x, 70, 150, 410, 75), shade{stops: nrgba(0x8fc4e4, 0xcfe8f0, 0xe7efd8), y0: 70, y1: 480})
			c.cloud(x+60, 200+float64(i%2)*50, .7, alpha(white, .85))
			c.disc(x+30, 440, 44, hex(0x8ab071))
			c.disc(x+104, 450, 52, hex(0x7ba263))
			c.rect(x, 478, 150, 8, hex(0xe0d2b8))
			c.rect(x+73, 70, 5, 410, hex(0xfffaf0))
			c.rect(x, 250, 150, 5, hex(0xfffaf0))
		}
		for i := range 4 {
			x := 22 + float64(i)*210
			c.rect(x, 0, 18, 524, hex(0xd8c5a4))
			c.rect(x+18, 0, 6, 524, hex(0xc7b28e))
		}
		c.rect(0, 0, width, 22, hex(0xcdb894))
		// Lift.
		c.round(940, 170, 210, 356, 8, hex(0x9a8a74))
		c.rect(958, 190, 174, 336, hex(0x4f4a45))
		c.round(1020, 146, 50, 20, 5, hex(0x2e2b29))
		c.label(1045, 162, 15, "0", hex(0xffb347))
		c.round(1168, 330, 20, 44, 5, hex(0x6f6558))
		c.disc(1178, 344, 4, hex(0xffd98a))
		c.disc(1178, 360, 4, hex(0xd8d0c2))
		c.rect(680, 96, 190, 128, hex(0x8a6b4c))
		c.fill(roundPath(688, 104, 174, 112, 0), shade{stops: nrgba(0xf4c98e, 0xe58f72, 0x6a6f9c), y0: 104, y1: 216})
		c.poly(hex(0x4c5580), 688, 216, 688, 180, 740, 150, 790, 186, 830, 162, 862, 190, 862, 216)
		c.disc(800, 140, 12, hex(0xfff0c8))
		c.clockFace(1234, 120, 34, 10.15)
		// Floor with reflections.
		c.sky(520, 720, hex(0xcbb79a), hex(0xe2d3ba))
		for i := -14; i <= 14; i++ {
			x := 640 + float64(i)*150
			c.poly(alpha(hex(0xa98f6c), .28), 640+float64(i)*74, 522, 642+float64(i)*74, 522, x+2, 720, x-1, 720)
		}
		for i := range 5 {
			c.rect(0, 522+math.Pow(float64(i+1)/5, 1.6)*190, width, 1.6, alpha(hex(0xa98f6c), .28))
		}
		for i := range 3 {
			x := 60 + float64(i)*210
			c.poly(alpha(hex(0xfff6dc), .34), x+20, 540, x+140, 540, x+250, 690, x+90, 690)
		}
		// Desk.
		c.oval(800, 604, 220, 16, alpha(black, .16))
		person := person(1, teal, navy)
		c.at(780, 536, 1.45, func() { c.figure(0, person) })
		c.round(640, 452, 320, 148, 14, hex(0x8a6242))
		for i := range 12 {
			c.rect(656+float64(i)*25, 474, 3, 118, hex(0x775238))
		}
		c.round(628, 440, 344, 20, 8, hex(0xe9d6b2))
		c.round(852, 400, 64, 42, 5, hex(0x32373f))
		c.rect(880, 440, 8, 6, hex(0x32373f))
		c.round(690, 418, 26, 24, 4, cream)
		for i := range 5 {
			s, k := math.Sincos(-math.Pi/2 + float64(i-2)*.35)
			c.stroke(703, 418, 703+k*36, 418+s*36, 3, forest)
			c.disc(703+k*38, 418+s*38, 7, []color.NRGBA{brick, must, plum, brick, must}[i])
		}
		c.label(800, 536, 22, "INFORMATION", alpha(cream, .85))
		c.plant(1226, 600, 1.2)
		c.plant(40, 650, 1.5)
		// Sofa.
		c.oval(330, 640, 150, 12, alpha(black, .14))
		c.round(200, 540, 260, 80, 22, hex(0x5f8a86))
		c.round(190, 580, 280, 52, 18, hex(0x6f9d98))
		c.round(182, 560, 34, 74, 16, hex(0x557d79))
		c.round(444, 560, 34, 74, 16, hex(0x557d79))
		c.round(236, 556, 44, 36, 8, must)
	}
	s.frame = func(c *canvas, t float64) {
		sn, k := math.Sincos(2*math.Pi*math.Floor(t)/60 - math.Pi/2)
		c.stroke(1234, 120, 1234+k*27, 120+sn*27, 1.6, brick)
		open := ease(span(t, 8, 9)) - ease(span(t, 11, 12))
		c.rect(958, 190, 174, 336, hex(0xf0d9a8))
		c.rect(972, 204, 146, 300, hex(0xe3c88f))
		c.rect(972, 400, 146, 5, hex(0xb8955c))
		woman := look{skin: skins[0], hair: hairs[2], top: hex(0xb8483f), legs: navy, shoes: coal, long: true, skirt: hex(0x8f2f3c), pack: hex(0)}
		woman.pack.A = 0
		if t > 8 && t < 9.2 {
			c.walk(1046, 524, 190, 0, -1, woman)
		}
		for _, side := range []float64{-1, 1} {
			x := 1045 + side*open*84
			if side < 0 {
				x -= 87
			}
			w := 87 - open*80
			if side < 0 {
				c.rect(958, 190, w, 336, hex(0xb4b9bd))
				c.rect(958+w-2, 190, 2, 336, hex(0x8d9398))
			} else {
				c.rect(1132-w, 190, w, 336, hex(0xbec3c7))
				c.rect(1132-w, 190, 2, 336, hex(0x8d9398))
			}
		}
		if t >= 9.2 && t <= 13 {
			q := span(t, 9.2, 13)
			c.walk(lerp(1046, -90, max(0, (q-.1)/.9)), lerp(524, 700, min(1, q*3.4)), lerp(190, 232, min(1, q*3.4)), t*2.2, -1, woman)
		}
		man := person(2, navy, coal)
		man.bag = hex(0x7a4f30)
		switch {
		case t >= 1 && t <= 6.5:
			q := span(t, 1, 6.5)
			c.walk(lerp(-80, 580, q), 676, 222, t*1.9, 1, man)
		case t > 6.5 && t < 14:
			c.walk(580, 676, 222, 0, 1, man)
		case t >= 14 && t <= 17.5:
			c.walk(lerp(580, -90, span(t, 14, 17.5)), 676, 222, t*2.2, -1, man)
		}
	}
	return s
}

func (c *canvas) plant(x, y, s float64) {
	c.oval(x, y, 44*s, 6*s, alpha(black, .16))
	c.at(x, y, s, func() {
		for i := range 9 {
			sn, k := math.Sincos(-math.Pi/2 + float64(i-4)*.27)
			n := 96.0 - math.Abs(float64(i-4))*6
			c.fill(new(path).move(0, -46).quad(k*n*.5-sn*16, -46+sn*n*.5+k*16, k*n, -46+sn*n).quad(k*n*.5+sn*16, -46+sn*n*.5-k*16, 0, -46), imageOf(mix(forest, hex(0x7fae5c), float64(i%3)*.4)))
		}
		c.poly(hex(0xb9654a), -28, -52, 28, -52, 20, 0, -20, 0)
		c.rect(-31, -58, 62, 11, hex(0xc9785a))
	})
}
