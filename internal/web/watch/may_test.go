package watch

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/web"
)

// cameraActs is what every route about one camera takes. A route that is not
// here fails the test: whoever adds one decides.
var cameraActs = map[string]access.Act{
	"GET /cameras/{id}":         access.SeeLive,
	"GET /cameras/{id}/edit":    access.ChangeCameras,
	"POST /cameras/{id}/edit":   access.ChangeCameras,
	"GET /cameras/{id}/check":   access.ChangeCameras,
	"POST /cameras/{id}/trust":  access.ChangeCameras,
	"GET /cameras/{id}/remove":  access.ChangeCameras,
	"POST /cameras/{id}/remove": access.ChangeCameras,

	"GET /api/cameras/{id}":                                 access.SeeLive,
	"PUT /api/cameras/{id}":                                 access.ChangeCameras,
	"DELETE /api/cameras/{id}":                              access.ChangeCameras,
	"GET /api/cameras/{id}/timeline":                        access.SeeArchive,
	"GET /api/cameras/{id}/segments":                        access.SeeRecorded,
	"GET /api/cameras/{id}/segments/{stream}/{start}":       access.SeeRecorded,
	"GET /api/cameras/{id}/days/{day}/key":                  access.SeeRecorded,
	"GET /api/cameras/{id}/live":                            access.SeeLive,
	"POST /api/cameras/{id}/live/{stream}/whep":             access.SeeLive,
	"DELETE /api/cameras/{id}/live/{stream}/whep/{session}": access.SeeLive,
	"GET /api/cameras/{id}/live/{stream}/socket":            access.SeeLive,
}

// aside is how the frame's own routes and those about no camera begin.
var aside = []string{"/users", "/api/users"}

// Every route about a camera, asked by every role that holds at one site, for a
// camera there and for one elsewhere: only what the role may there is answered,
// and a camera elsewhere does not exist.
func TestEveryRouteByEveryRole(t *testing.T) {
	for _, role := range access.Roles() {
		for _, own := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s own=%t", role, own), func(t *testing.T) {
				b := newBench(t)
				as := b.scoped(t, role, own)
				for _, route := range b.web.Routes() {
					method, path, _ := strings.Cut(route.Pattern, " ")
					if !strings.Contains(path, "{id}") || slices.ContainsFunc(aside, func(p string) bool { return strings.HasPrefix(path, p) }) {
						continue
					}
					act, ok := cameraActs[route.Pattern]
					if !ok {
						t.Errorf("%s: no act is listed for it", route.Pattern)
						continue
					}
					checkRoute(t, b, as, route, method, path, own && slices.Contains(role.Acts(), act))
					if _, err := b.estate.Camera(t.Context(), "gate"); err != nil { // a route has just removed it
						b = newBench(t)
						as = b.scoped(t, role, own)
					}
				}
			})
		}
	}
}

func checkRoute(t *testing.T, b *bench, as func(*http.Request), route web.Route, method, path string, may bool) {
	t.Helper()
	fill := strings.NewReplacer("{id}", "gate", "{stream}", "main", "{start}", fmt.Sprint(noon.Add(-180e9).UnixMilli()),
		"{day}", "2030-06-01", "{session}", "x")
	live := len(b.asked)
	rec := b.serve(ask(method, fill.Replace(path)+"?from=0&to=1000", "{}", as))
	denied := rec.Code == http.StatusForbidden || rec.Code == http.StatusNotFound
	if may && denied {
		t.Errorf("%s: %d, but the role allows it", route.Pattern, rec.Code)
	}
	if !may && (!denied || len(b.asked) > live) {
		t.Errorf("%s: %d, but the role does not allow it", route.Pattern, rec.Code)
	}
}

// scoped logs in somebody with a role at the camera's site, or at another.
func (b *bench) scoped(t *testing.T, role access.Role, own bool) func(*http.Request) {
	t.Helper()
	scope := access.Scope{Site: "harbour"}
	if !own {
		s, err := b.estate.AddSite(t.Context(), "School")
		if err != nil {
			t.Fatal(err)
		}
		scope.Site = s.ID
	}
	users, err := b.access.Users(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, link, err := b.access.Invite(t.Context(), users[0], "Scoped", []access.Grant{{Role: role, Scope: scope}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.access.UseLink(t.Context(), link, password); err != nil {
		t.Fatal(err)
	}
	return b.login(t, "Scoped")
}

// Who may change one site's cameras may not add some elsewhere.
func TestAddingByWhoMayOneSite(t *testing.T) {
	b := newBench(t)
	as := b.scoped(t, access.Operator, true)
	if _, err := b.estate.AddSite(t.Context(), "School"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, body string
		status     int
	}{
		{"own site", `{"name":"Quay","site":"harbour","url":"rtsp://10.0.0.9/1"}`, http.StatusCreated},
		{"another site", `{"name":"Yard","site":"school","url":"rtsp://10.0.0.8/1"}`, http.StatusForbidden},
		{"no site", `{"name":"Yard","url":"rtsp://10.0.0.8/1"}`, http.StatusForbidden},
	} {
		if rec := b.serve(ask("POST", "/api/cameras", tt.body, as)); rec.Code != tt.status {
			t.Errorf("%s: %d, want %d: %s", tt.name, rec.Code, tt.status, rec.Body)
		}
	}
	cameras, err := b.estate.Cameras(t.Context())
	if err != nil || !slices.ContainsFunc(cameras, func(c estate.Camera) bool { return c.Name == "Quay" }) ||
		slices.ContainsFunc(cameras, func(c estate.Camera) bool { return c.Name == "Yard" }) {
		t.Errorf("cameras %+v, %v", cameras, err)
	}
	for _, path := range []string{"/archive/retention", "/archive/readers", "/cameras/-/import"} {
		if rec := b.serve(form(path, map[string][]string{"site": {"harbour"}}, as)); rec.Code != http.StatusForbidden {
			t.Errorf("POST %s: %d", path, rec.Code)
		}
	}
}

// A role that holds for an organisation holds at the sites of those below it.
func TestRoleOfAnOrganisation(t *testing.T) {
	b := newBench(t)
	ministry, err := b.estate.AddOrganisation(t.Context(), estate.Organisation{Name: "Ministry"}, "test")
	if err != nil {
		t.Fatal(err)
	}
	port, err := b.estate.AddOrganisation(t.Context(), estate.Organisation{Name: "Port", Parent: ministry.ID}, "test")
	if err != nil {
		t.Fatal(err)
	}
	site, err := b.estate.Site(t.Context(), "harbour")
	if err != nil {
		t.Fatal(err)
	}
	users, err := b.access.Users(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, link, err := b.access.Invite(t.Context(), users[0], "Mia", []access.Grant{{Role: access.Viewer, Scope: access.Scope{Organisation: ministry.ID}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.access.UseLink(t.Context(), link, password); err != nil {
		t.Fatal(err)
	}
	mia := b.login(t, "Mia")
	if rec := b.serve(ask("GET", "/api/cameras/gate", "", mia)); rec.Code != http.StatusNotFound {
		t.Errorf("while the site is nobody's: %d", rec.Code)
	}
	site.Organisation = port.ID
	if _, err := b.estate.UpdateSite(t.Context(), site, "test", "it is the port's"); err != nil {
		t.Fatal(err)
	}
	if rec := b.serve(ask("GET", "/api/cameras/gate", "", mia)); rec.Code != http.StatusOK {
		t.Errorf("once it is of a body below the ministry: %d", rec.Code)
	}
}
