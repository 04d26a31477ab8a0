package know

import (
	"errors"
	"net/http"
	"strings"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web"
)

// placeForm is the form of an organisation or a site, new or changed.
type placeForm struct {
	say
	What          string // "organisation" or "site"
	ID            string // "" for a new one
	Form          map[string]string
	Organisations []estate.Organisation
	Bodies        []policy.BodyType
	Problem       *estate.Invalid
}

// Wrong reports whether a field is to blame.
func (d placeForm) Wrong(field string) bool { return d.Problem != nil && d.Problem.Field == field }

// Back is where the form was opened from.
func (d placeForm) Back() string {
	if d.ID == "" {
		return "/estate"
	}
	return "/estate/" + d.What + "s/" + d.ID
}

func (k *Know) placeForm(r *http.Request, what, id string, fields map[string]string) (placeForm, error) {
	all, err := k.o.Estate.Organisations(r.Context())
	return placeForm{say: k.say(r), What: what, ID: id, Form: fields, Organisations: all, Bodies: k.rules().Bodies()}, err
}

// user is who acts, for the history.
func user(r *http.Request) string { return web.From(r).User().Name }

func (k *Know) showNewOrganisation(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.placeForm(r, "organisation", "", map[string]string{"parent": r.URL.Query().Get("parent")})
	if err != nil {
		return err
	}
	return k.render(rw, r, "place", http.StatusOK, d)
}

func (k *Know) showEditOrganisation(rw http.ResponseWriter, r *http.Request) error {
	if err := k.allowOrganisation(r, access.ChangeEstate, r.PathValue("id")); err != nil {
		return err
	}
	o, err := k.o.Estate.Organisation(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	d, err := k.placeForm(r, "organisation", o.ID, map[string]string{"name": o.Name, "body": o.Body, "parent": o.Parent, "sector": o.Sector, "region": o.Region})
	if err != nil {
		return err
	}
	return k.render(rw, r, "place", http.StatusOK, d)
}

// readForm takes the named fields of a form.
func readForm(rw http.ResponseWriter, r *http.Request, names ...string) (map[string]string, error) {
	if err := web.ParseForm(rw, r); err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for _, n := range names {
		fields[n] = strings.TrimSpace(r.PostForm.Get(n))
	}
	return fields, nil
}

func (k *Know) addOrganisation(rw http.ResponseWriter, r *http.Request) error {
	return k.storeOrganisation(rw, r, "")
}

func (k *Know) editOrganisation(rw http.ResponseWriter, r *http.Request) error {
	if err := k.allowOrganisation(r, access.ChangeEstate, r.PathValue("id")); err != nil {
		return err
	}
	return k.storeOrganisation(rw, r, r.PathValue("id"))
}

func (k *Know) storeOrganisation(rw http.ResponseWriter, r *http.Request, id string) error {
	f, err := readForm(rw, r, "name", "body", "parent", "sector", "region", "why")
	if err != nil {
		return err
	}
	if err := k.mayPutUnder(r, f["parent"]); err != nil {
		return err
	}
	o := estate.Organisation{ID: id, Name: f["name"], Body: f["body"], Parent: f["parent"], Sector: f["sector"], Region: f["region"]}
	if id == "" {
		o, err = k.o.Estate.AddOrganisation(r.Context(), o, user(r))
	} else {
		o, err = k.o.Estate.UpdateOrganisation(r.Context(), o, user(r), f["why"])
	}
	return k.placeStored(rw, r, "organisation", id, f, "/estate/organisations/"+o.ID, err)
}

// mayPutUnder refuses to hang something under an organisation of another's.
// One that does not exist is the form's to say.
func (k *Know) mayPutUnder(r *http.Request, organisation string) error {
	if _, err := k.o.Estate.Organisation(r.Context(), organisation); err != nil && organisation != "" {
		return nil
	}
	return k.allowOrganisation(r, access.ChangeEstate, organisation)
}

// placeStored shows the form again with what is wrong, or goes to what was stored.
func (k *Know) placeStored(rw http.ResponseWriter, r *http.Request, what, id string, f map[string]string, to string, err error) error {
	if err == nil {
		http.Redirect(rw, r, to, http.StatusSeeOther)
		return nil
	}
	d, formErr := k.placeForm(r, what, id, f)
	if formErr != nil {
		return formErr
	}
	if !errors.As(err, &d.Problem) {
		return err
	}
	return k.render(rw, r, "place", http.StatusUnprocessableEntity, d)
}

func (k *Know) showNewSite(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.placeForm(r, "site", "", map[string]string{"organisation": r.URL.Query().Get("organisation")})
	if err != nil {
		return err
	}
	return k.render(rw, r, "place", http.StatusOK, d)
}

func (k *Know) showEditSite(rw http.ResponseWriter, r *http.Request) error {
	if err := k.allow(r, access.ChangeEstate, r.PathValue("id")); err != nil {
		return err
	}
	s, err := k.o.Estate.Site(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	d, err := k.placeForm(r, "site", s.ID, map[string]string{"name": s.Name, "organisation": s.Organisation, "address": s.Address})
	if err != nil {
		return err
	}
	return k.render(rw, r, "place", http.StatusOK, d)
}

func (k *Know) addSite(rw http.ResponseWriter, r *http.Request) error {
	f, err := readForm(rw, r, "name", "organisation", "address")
	if err != nil {
		return err
	}
	if err := k.mayPutUnder(r, f["organisation"]); err != nil {
		return err
	}
	s, err := k.o.Estate.MakeSite(r.Context(), estate.Site{Name: f["name"], Organisation: f["organisation"], Address: f["address"]}, user(r))
	return k.placeStored(rw, r, "site", "", f, "/estate/sites/"+s.ID, err)
}

func (k *Know) editSite(rw http.ResponseWriter, r *http.Request) error {
	if err := k.allow(r, access.ChangeEstate, r.PathValue("id")); err != nil {
		return err
	}
	s, err := k.o.Estate.Site(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	f, err := readForm(rw, r, "name", "organisation", "address", "why")
	if err != nil {
		return err
	}
	if f["organisation"] != s.Organisation {
		if err := k.mayPutUnder(r, f["organisation"]); err != nil {
			return err
		}
	}
	s.Name, s.Organisation, s.Address = f["name"], f["organisation"], f["address"]
	_, err = k.o.Estate.UpdateSite(r.Context(), s, user(r), f["why"])
	return k.placeStored(rw, r, "site", s.ID, f, "/estate/sites/"+s.ID, err)
}

// siteData is one site.
type siteData struct {
	say
	Site         estate.Site
	Organisation *estate.Organisation
	Above        []estate.Organisation
	Devices      deviceList
	Total        int
	Proposed     int
	Plots        []Bars
	History      []estate.Change
	Definition   *policy.Restriction // what a sensitive site is
	Form         map[string]string
	Problem      *estate.Invalid
	May          bool // change it
}

// Classes lists what a site can be.
func (siteData) Classes() []estate.SiteClass {
	return []estate.SiteClass{estate.Sensitive, estate.Ordinary, estate.Undetermined}
}

func (k *Know) showSite(rw http.ResponseWriter, r *http.Request) error {
	if err := k.allow(r, access.SeeEstate, r.PathValue("id")); err != nil {
		return err
	}
	d, err := k.siteData(r)
	if err != nil {
		return err
	}
	return k.render(rw, r, "site", http.StatusOK, d)
}

// definition is the published text on what makes a site sensitive.
const definition = "UK-DEF"

func (k *Know) siteData(r *http.Request) (siteData, error) {
	ctx := r.Context()
	d := siteData{say: k.say(r)}
	var err error
	if d.Site, err = k.o.Estate.Site(ctx, r.PathValue("id")); err != nil {
		return d, err
	}
	d.Form = map[string]string{"class": string(d.Site.Class), "reason": ""}
	d.Definition, _ = k.rules().Restriction(definition)
	if d.Site.Organisation != "" {
		all, err := k.o.Estate.Organisations(ctx)
		if err != nil {
			return d, err
		}
		for _, o := range all {
			if o.ID == d.Site.Organisation {
				d.Organisation, d.Above = &o, above(all, o)
			}
		}
	}
	f := estate.Filter{Site: d.Site.ID}
	if d.Total, err = k.o.Estate.Total(ctx, f); err != nil {
		return d, err
	}
	if d.Proposed, err = k.o.Estate.Total(ctx, estate.Filter{Site: d.Site.ID, State: estate.Proposed}); err != nil {
		return d, err
	}
	if d.Plots, err = k.plots(ctx, d.say, f, nil, "site="+d.Site.ID); err != nil {
		return d, err
	}
	if d.Devices, err = k.list(r, f); err != nil {
		return d, err
	}
	d.May = k.allow(r, access.ChangeEstate, d.Site.ID) == nil
	d.History, err = k.o.Estate.History(ctx, "site", d.Site.ID, 0, shownHistory)
	return d, err
}

func (k *Know) classSite(rw http.ResponseWriter, r *http.Request) error {
	if err := k.allow(r, access.ChangeEstate, r.PathValue("id")); err != nil {
		return err
	}
	d, err := k.siteData(r)
	if err != nil {
		return err
	}
	if d.Form, err = readForm(rw, r, "class", "reason"); err != nil {
		return err
	}
	_, err = k.o.Estate.ClassSite(r.Context(), d.Site.ID, estate.SiteClass(d.Form["class"]), user(r), d.Form["reason"])
	if errors.As(err, &d.Problem) {
		return k.render(rw, r, "site", http.StatusUnprocessableEntity, d)
	}
	if err != nil {
		return err
	}
	k.log.Info("site classed", "site", d.Site.ID, "class", d.Form["class"], "user", user(r))
	http.Redirect(rw, r, "/estate/sites/"+d.Site.ID, http.StatusSeeOther)
	return nil
}
