package know

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web"
)

func (k *Know) mapRoutes() {
	h := k.o.Web.Handle
	h("GET /estate/sites/{id}/map", web.For(access.SeeEstate), k.showMap)
	h("GET /estate/sites/{id}/map/image", web.For(access.SeeEstate), k.mapImage)
	h("POST /estate/sites/{id}/map/image", web.For(access.ChangeEstate), k.setMapImage)
	h("POST /estate/sites/{id}/map/place", web.For(access.ChangeEstate), k.placeOnMap)
	h("PUT /api/estate/devices/{id}/placement", web.For(access.ChangeEstate), k.putPlacement)
	h("DELETE /api/estate/devices/{id}/placement", web.For(access.ChangeEstate), k.deletePlacement)
}

// planWidth is how wide every plan is drawn, whatever its picture's pixels: so
// markers have one size.
const planWidth = 1000

// mapData is a site's floor plan with its devices.
type mapData struct {
	say
	Site    estate.Site
	Picture string // address, "" where there is no plan
	Height  int    // of the drawing; its width is [planWidth]
	Placed  []placed
	Others  []estate.Device // of the site, not on the plan
	More    bool            // others there are than can be listed
	Problem *estate.Invalid
	May     bool
}

// placed is a device on the plan.
type placed struct {
	estate.Device
	estate.Placement
	N       int // its number on the plan and in the list
	Gravest policy.Force
	Broken  bool
	height  float64
}

// Left and Top are where it stands in the drawing.
func (p placed) Left() string { return number(p.X * planWidth) }
func (p placed) Top() string  { return number(p.Y * p.height) }

func number(x float64) string { return strconv.FormatFloat(x, 'f', 1, 64) }

// Percent writes a part of the plan for a person to edit.
func (placed) Percent(x float64) string { return strconv.FormatFloat(x*100, 'f', 1, 64) }

// Degrees writes an angle for a person to edit.
func (placed) Degrees(x float64) string { return strconv.FormatFloat(x, 'f', 0, 64) }

// Exact writes a number for the script.
func (placed) Exact(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// Cone is the path of what it looks at, around the origin, heading up.
func (p placed) Cone() string {
	r := p.Reach * planWidth
	if p.Angle >= 359.5 {
		return fmt.Sprintf("M0 %s A%[2]s %[2]s 0 1 1 0 %[2]s A%[2]s %[2]s 0 1 1 0 %[1]s Z", number(-r), number(r))
	}
	half := p.Angle / 2 * math.Pi / 180
	x, y := r*math.Sin(half), -r*math.Cos(half)
	large := 0
	if p.Angle > 180 {
		large = 1
	}
	return fmt.Sprintf("M0 0 L%s %s A%[3]s %[3]s 0 %[4]d 1 %[5]s %[2]s Z", number(-x), number(y), number(r), large, number(x))
}

// listed bounds the devices that can be chosen from.
const listed = 300

func (k *Know) showMap(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.mapData(r)
	if err != nil {
		return err
	}
	return k.render(rw, r, "map", http.StatusOK, d)
}

func (k *Know) mapData(r *http.Request) (mapData, error) {
	ctx := r.Context()
	d := mapData{say: k.say(r), Height: planWidth * 6 / 10}
	where, err := k.whereabouts(ctx)
	if err != nil {
		return d, err
	}
	id := r.PathValue("id")
	if err := where.allow(r, access.SeeEstate, where.place(id), id); err != nil {
		return d, err
	}
	if d.Site, err = k.o.Estate.Site(ctx, id); err != nil {
		return d, err
	}
	d.May = where.may(r, access.ChangeEstate, id)
	plan, err := k.o.Estate.FloorPlan(ctx, id)
	switch {
	case err == nil:
		d.Height = max(1, planWidth*plan.Height/plan.Width)
		d.Picture = "/estate/sites/" + id + "/map/image?v=" + strconv.FormatInt(plan.Updated.Unix(), 36)
	case !errors.Is(err, estate.ErrNotFound):
		return d, err
	}
	return d, k.addPlaced(r, where, &d)
}

// addPlaced sorts the site's devices by whether they are on the plan.
func (k *Know) addPlaced(r *http.Request, where whereabouts, d *mapData) error {
	placements, err := k.o.Estate.Placements(r.Context(), d.Site.ID)
	if err != nil {
		return err
	}
	cache := k.rules().NewCache()
	on := map[estate.DeviceID]bool{}
	for _, p := range placements {
		device, err := k.o.Estate.Device(r.Context(), p.Device)
		if err != nil {
			return err
		}
		verdicts := cache.Judge(where.caseOf(device, k.now()))
		on[p.Device] = true
		d.Placed = append(d.Placed, placed{
			Device: device, Placement: p, Gravest: policy.Gravest(verdicts), height: float64(d.Height),
			Broken: len(policy.Broken(verdicts, policy.Must)) > 0,
		})
	}
	slices.SortFunc(d.Placed, func(a, b placed) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(string(a.ID), string(b.ID)))
	})
	for i := range d.Placed {
		d.Placed[i].N = i + 1
	}
	page, err := k.o.Estate.Devices(r.Context(), estate.Filter{Site: d.Site.ID, Limit: estate.MaxPage})
	if err != nil {
		return err
	}
	for _, device := range page.Devices {
		if on[device.ID] {
			continue
		}
		if d.More = len(d.Others) == listed; d.More {
			break
		}
		d.Others = append(d.Others, device)
	}
	d.More = d.More || page.Next != ""
	return nil
}

func (k *Know) mapImage(rw http.ResponseWriter, r *http.Request) error {
	if err := k.allow(r, access.SeeEstate, r.PathValue("id")); err != nil {
		return err
	}
	plan, err := k.o.Estate.FloorPlan(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	h := rw.Header()
	h.Set("Content-Type", plan.Media) // read from the bytes, never told by who sent them
	h.Set("Content-Length", strconv.Itoa(len(plan.Image)))
	h.Set("Cache-Control", "private, max-age=3600")
	_, _ = rw.Write(plan.Image) // whoever hung up will not read it
	return nil
}

// setMapImage takes a floor plan, or with "remove" takes it away.
func (k *Know) setMapImage(rw http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if err := k.allow(r, access.ChangeEstate, id); err != nil {
		return err
	}
	image, err := readUpload(r, "plan", estate.MaxPlanBytes)
	if err == nil && len(image) == 0 && r.PostFormValue("remove") == "" {
		err = &estate.Invalid{Field: "plan", Code: "missing"}
	}
	if err == nil {
		_, err = k.o.Estate.SetFloorPlan(r.Context(), id, image, user(r))
	}
	return k.mapped(rw, r, err)
}

// readUpload is the file of a form, at most so many bytes; none is empty.
func readUpload(r *http.Request, name string, most int64) ([]byte, error) {
	if err := r.ParseMultipartForm(most); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, err
		}
		return nil, errors.Join(web.ErrBadRequest, err)
	}
	defer r.MultipartForm.RemoveAll()
	f, _, err := r.FormFile(name)
	if errors.Is(err, http.ErrMissingFile) {
		return nil, nil
	}
	if err != nil {
		return nil, errors.Join(web.ErrBadRequest, err)
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most+1))
}

// mapped goes back to the plan, or shows it with what is wrong.
func (k *Know) mapped(rw http.ResponseWriter, r *http.Request, err error) error {
	if err == nil {
		http.Redirect(rw, r, "/estate/sites/"+r.PathValue("id")+"/map", http.StatusSeeOther)
		return nil
	}
	d, pageErr := k.mapData(r)
	if pageErr != nil {
		return pageErr
	}
	if !errors.As(err, &d.Problem) {
		return err
	}
	return k.render(rw, r, "map", http.StatusUnprocessableEntity, d)
}

// placeOnMap is the way to place a device without pointer and script.
func (k *Know) placeOnMap(rw http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if err := k.allow(r, access.ChangeEstate, id); err != nil {
		return err
	}
	f, err := readForm(rw, r, "device", "x", "y", "heading", "angle", "reach", "do")
	if err != nil {
		return err
	}
	d, err := k.o.Estate.Device(r.Context(), estate.DeviceID(f["device"]))
	if err != nil {
		return err
	}
	if d.Site != id {
		return web.ErrNotFound
	}
	if f["do"] == "unplace" {
		return k.mapped(rw, r, k.o.Estate.Unplace(r.Context(), d.ID, user(r)))
	}
	p := estate.Placement{Device: d.ID, X: 0.5, Y: 0.5, Angle: 90, Reach: 0.15}
	if f["x"] != "" {
		if p, err = readPlacement(d.ID, f); err != nil {
			return k.mapped(rw, r, err)
		}
	}
	return k.mapped(rw, r, k.o.Estate.Place(r.Context(), p, user(r)))
}

func readPlacement(id estate.DeviceID, f map[string]string) (estate.Placement, error) {
	p := estate.Placement{Device: id}
	for _, n := range []struct {
		field string
		into  *float64
		unit  float64
	}{{"x", &p.X, 100}, {"y", &p.Y, 100}, {"heading", &p.Heading, 1}, {"angle", &p.Angle, 1}, {"reach", &p.Reach, 100}} {
		x, err := strconv.ParseFloat(strings.ReplaceAll(f[n.field], ",", "."), 64)
		if err != nil {
			return p, &estate.Invalid{Field: n.field, Code: "number", Value: clip(f[n.field], 40)}
		}
		*n.into = x / n.unit
	}
	return p, nil
}

// putPlacement is the same for scripts: JSON as [estate.Placement], without
// the device.
func (k *Know) putPlacement(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.device(r, access.ChangeEstate)
	if err != nil {
		return err
	}
	p := estate.Placement{Device: d.ID}
	if err := readJSON(rw, r, &p); err != nil {
		return err
	}
	p.Device = d.ID
	if err := k.o.Estate.Place(r.Context(), p, user(r)); err != nil {
		return err
	}
	return web.JSON(rw, p)
}

func (k *Know) deletePlacement(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.device(r, access.ChangeEstate)
	if err != nil {
		return err
	}
	if err := k.o.Estate.Unplace(r.Context(), d.ID, user(r)); err != nil {
		return err
	}
	rw.WriteHeader(http.StatusNoContent)
	return nil
}
