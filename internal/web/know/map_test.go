package know

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/watchward/watchward/internal/estate"
)

// floor is a plan: walls around rooms.
func floor(t testing.TB) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 800, 500))
	for y := range 500 {
		for x := range 800 {
			c := color.RGBA{250, 250, 246, 255}
			if x < 6 || y < 6 || x > 793 || y > 493 || (x > 395 && x < 402 && (y < 180 || y > 260)) || (y > 300 && y < 306 && x < 300) {
				c = color.RGBA{70, 80, 90, 255}
			}
			img.SetRGBA(x, y, c)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func upload(t testing.TB, path, field string, file []byte, change ...func(*http.Request)) *http.Request {
	t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	if file != nil {
		part, err := m.CreateFormFile(field, "file")
		if err != nil {
			t.Fatal(err)
		}
		part.Write(file)
	}
	m.Close()
	r := ask("POST", path, body.String(), change...)
	r.Header.Set("Content-Type", m.FormDataContentType())
	return r
}

func TestFloorPlan(t *testing.T) {
	b := newBench(t)
	ada, vic := b.login(t, "Ada"), b.login(t, "Vic")
	path, camera := "/estate/sites/ministry/map", string(b.device["10.0.0.1"])
	place := url.Values{"device": {camera}, "x": {"25,5"}, "y": {"40"}, "heading": {"90"}, "angle": {"70"}, "reach": {"20"}}
	with := func(name, value string) url.Values {
		v := url.Values{}
		for k := range place {
			v[k] = place[k]
		}
		v.Set(name, value)
		return v
	}
	for _, tt := range []struct {
		name   string
		r      *http.Request
		status int
	}{
		{"no file", upload(t, path+"/image", "plan", nil, ada), 422},
		{"a program", upload(t, path+"/image", "plan", []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`), ada), 422},
		{"half a picture", upload(t, path+"/image", "plan", floor(t)[:20], ada), 422},
		{"a plan", upload(t, path+"/image", "plan", floor(t), ada), 303},
		{"by who may not", upload(t, path+"/image", "plan", floor(t), vic), 403},
		{"placed", form(path+"/place", place, ada), 303},
		{"beyond the edge", form(path+"/place", with("x", "140"), ada), 422},
		{"nowhere", form(path+"/place", with("y", "NaN"), ada), 422},
		{"no number", form(path+"/place", with("heading", "north"), ada), 422},
		{"of another site", form(path+"/place", with("device", string(b.device["10.0.0.3"])), ada), 404},
		{"a device that is none", form(path+"/place", with("device", "dev-none"), ada), 404},
		{"by a script", ask("PUT", "/api/estate/devices/"+camera+"/placement", `{"x":0.3,"y":0.4,"heading":45,"angle":90,"reach":0.2}`, ada), 200},
		{"by a script, badly", ask("PUT", "/api/estate/devices/"+camera+"/placement", `{"x":3}`, ada), 422},
		{"by a script, no JSON", ask("PUT", "/api/estate/devices/"+camera+"/placement", `x=3`, ada), 400},
	} {
		page := b.page(t, tt.status, tt.r)
		if tt.status == 422 && !strings.HasPrefix(page, "{") {
			checkMarkup(t, tt.name, "en", page)
		}
	}
	rec := b.serve(ask("GET", path+"/image", "", vic))
	if rec.Code != 200 || rec.Header().Get("Content-Type") != "image/png" || !bytes.Equal(rec.Body.Bytes(), floor(t)) {
		t.Errorf("the picture comes back as %d %q", rec.Code, rec.Header().Get("Content-Type"))
	}
	for _, lang := range []string{"en", "fr"} {
		page := b.page(t, 200, ask("GET", path, "", vic, func(r *http.Request) { r.Header.Set("Accept-Language", lang) }))
		checkMarkup(t, path, lang, page)
		if !strings.Contains(page, `translate(300.0 250.0) rotate(45)`) || strings.Contains(page, "editable") {
			t.Errorf("in %s the plan is not drawn for who may only read: %s", lang, page)
		}
	}
	b.page(t, 204, ask("DELETE", "/api/estate/devices/"+camera+"/placement", "", ada))
	b.page(t, 404, ask("DELETE", "/api/estate/devices/"+camera+"/placement", "", ada))
}

func TestConesAreDrawn(t *testing.T) {
	for angle, want := range map[float64]string{
		90:  "M0 0 L-70.7 -70.7 A100.0 100.0 0 0 1 70.7 -70.7 Z",
		180: "M0 0 L-100.0 -0.0 A100.0 100.0 0 0 1 100.0 -0.0 Z",
		270: "M0 0 L-70.7 70.7 A100.0 100.0 0 1 1 70.7 70.7 Z",
		360: "M0 -100.0 A100.0 100.0 0 1 1 0 100.0 A100.0 100.0 0 1 1 0 -100.0 Z",
	} {
		if got := (placed{Placement: estate.Placement{Angle: angle, Reach: 0.1}}).Cone(); got != want {
			t.Errorf("%g°: %s, want %s", angle, got, want)
		}
	}
}

func TestFloorPlanByKeyboardAndPointer(t *testing.T) {
	b := newBench(t)
	ada := b.login(t, "Ada")
	b.page(t, 303, upload(t, "/estate/sites/ministry/map/image", "plan", floor(t), ada))
	b.page(t, 303, form("/estate/sites/ministry/map/place", url.Values{"device": {string(b.device["10.0.0.1"])}}, ada))
	p := newTab(t, b, "Ada")
	p.visit("/estate/sites/ministry/map")
	p.eventually(`document.querySelector("g[data-device][role=button]")`)
	where := func() estate.Placement {
		all, err := b.estate.Placements(t.Context(), "ministry")
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return all[0]
	}
	saved := `document.querySelector(".plan-said").innerText.includes("Saved")`
	value[bool](p, `(document.querySelector("g[data-device]").focus(), true)`)
	for range 10 {
		p.press(kb.ArrowRight)
	}
	p.press(kb.ArrowUp)
	p.press("+")
	p.eventually(saved)
	if at := where(); at.X != 0.6 || at.Y != 0.49 || at.Angle != 95 {
		t.Errorf("after the arrows it stands at %+v", at)
	}
	if text := value[string](p, `document.querySelector("form[data-for] [name=x]").value`); text != "60.0" {
		t.Errorf("the list says %s", text)
	}
	value[bool](p, `(document.querySelector(".plan-said").textContent = "", true)`)
	from := value[[]float64](p, `(b => [b.x + b.width / 2, b.y + b.height / 2])(document.querySelector("g[data-device] circle").getBoundingClientRect())`)
	if err := chromedp.Do(p.ctx,
		chromedp.MouseEvent(input.DispatchMouseEventTypeMousePressed, from[0], from[1], chromedp.ButtonLeft),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, from[0]-200, from[1]+50, chromedp.ButtonLeft),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseReleased, from[0]-200, from[1]+50, chromedp.ButtonLeft),
	); err != nil {
		t.Fatal(err)
	}
	p.eventually(saved)
	if at := where(); at.X > 0.5 || at.Y < 0.5 {
		t.Errorf("after dragging it stands at %+v", at)
	}
	p.shot("map-light")
}
