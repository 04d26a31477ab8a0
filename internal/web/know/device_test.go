package know

import (
	"fmt"
	"strings"
	"testing"
)

func TestDevicePageShowsTheChain(t *testing.T) {
	b := newBench(t)
	vic := b.login(t, "Vic")
	text := func(address string) string {
		return words(parse(t, b.page(t, 200, ask("GET", "/estate/devices/"+string(b.device[address]), "", vic))))
	}
	for address, wants := range map[string][]string{
		"10.0.0.1": {"Hikvision, sold as LTS", "identified", "rtsp-response on port 554", "settles it", "subject: a badge from elsewhere on a device made there (grade 3)", "China", "Ministry sensitive", "must", "remove", "1 false friend", "Department of Examples: UK central government department"},
		"10.0.0.3": {"Dahua, sold as Amcrest", "very likely", "Points to another maker", "AXIS", "Town hall ordinary", "UK local authority"},
		"10.0.0.4": {"Axis", "hint", "It rests on the badge’s word alone.", "Depot undetermined"},
		"10.0.0.5": {"maker not known", "Nothing was seen that a fingerprint knows.", "At no site yet."},
	} {
		got := text(address)
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("%s does not say %q", address, want)
			}
		}
	}
	if council := text("10.0.0.3"); strings.Contains(council, "not met") {
		t.Error("a council's recorder at an ordinary site is shown to break a rule")
	}
}

func TestDevicesAreEscaped(t *testing.T) {
	b := newBench(t)
	vic := b.login(t, "Vic")
	for _, path := range []string{"/estate/devices", "/estate/devices/" + string(b.device["10.0.0.6"]), "/estate/devices/" + string(b.device["10.0.0.1"])} {
		page := b.page(t, 200, ask("GET", path, "", vic))
		if strings.Contains(page, "<script>alert") || strings.ContainsAny(page, "\u202e\x1b") {
			t.Errorf("%s shows what a device says as it says it", path)
		}
	}
}

func TestWrongDevices(t *testing.T) {
	b := newBench(t)
	vic := b.login(t, "Vic")
	for path, status := range map[string]int{
		"/estate/devices/dev-none":                     404,
		"/estate/devices/..%2f..":                      404,
		"/estate/devices/" + strings.Repeat("x", 5000): 404,
		"/estate/devices?site=nowhere":                 422,
		"/estate/devices?after=nonsense":               422,
		"/estate/devices?state=nonsense":               200,
		"/estate/sites/nowhere":                        404,
		"/estate/organisations/nobody":                 404,
	} {
		b.page(t, status, ask("GET", path, "", vic))
	}
}

func TestListIsPaged(t *testing.T) {
	b := newBench(t)
	vic := b.login(t, "Vic")
	fill(t, b, 120)
	path, seen, pages := "/estate/devices?state=proposed&q=bulk", map[string]bool{}, 0
	for ; path != "" && pages < 10; pages++ {
		doc := parse(t, b.page(t, 200, ask("GET", path, "", vic)))
		path = ""
		for n := range doc.Descendants() {
			for _, a := range n.Attr {
				if id, ok := strings.CutPrefix(a.Val, "/estate/devices/dev-"); ok && a.Key == "href" {
					if seen[id] {
						t.Fatalf("%s is on two pages", id)
					}
					seen[id] = true
				}
				if a.Key == "rel" && a.Val == "next" {
					for _, h := range n.Attr {
						if h.Key == "href" {
							path = h.Val
						}
					}
				}
			}
		}
	}
	if len(seen) != 120 || pages != 3 {
		t.Errorf("%d devices on %d pages, want 120 on 3", len(seen), pages)
	}
}

// fill puts n devices into the estate.
func fill(t testing.TB, b *bench, n int) {
	t.Helper()
	scan := must(b.estate.BeginScan(t.Context(), scanOf("bulk")))(t)
	for at := 0; at < n; at += 1000 {
		batch := bulk(at, min(at+1000, n))
		must(b.estate.Propose(t.Context(), scan.ID, batch))(t)
	}
}

func BenchmarkDevicesPage(b *testing.B) {
	w := newBench(b)
	fill(b, w, 100_000)
	vic := w.login(b, "Vic")
	for _, path := range []string{"/estate", "/estate/devices", "/estate/devices?maker=hikvision&state=proposed", "/estate/devices?q=bulk-0999", "/estate/sites/ministry"} {
		b.Run(strings.ReplaceAll(path, "/", "_"), func(b *testing.B) {
			for b.Loop() {
				w.page(b, 200, ask("GET", path, "", vic))
			}
		})
	}
	b.Log(fmt.Sprint(len(w.device)))
}
