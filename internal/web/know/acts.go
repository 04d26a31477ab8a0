package know

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/access"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/policy"
	"github.com/watchward/watchward/internal/web"
)

func (k *Know) actRoutes() {
	h := k.o.Web.Handle
	h("POST /estate/devices/{id}/adopt", web.For(access.ChangeEstate), k.adopt)
	h("POST /estate/devices/{id}/remove", web.For(access.ChangeEstate), k.remove)
	h("POST /estate/devices/{id}/link", web.For(access.ChangeEstate), k.settleLink)
	h("POST /estate/devices/{id}/waive", web.For(access.Waive), k.waive)
	h("POST /estate/devices/{id}/revoke", web.For(access.Waive), k.revoke)
	h("GET /estate/devices/{id}/edit", web.For(access.ChangeEstate), k.showEditDevice)
	h("POST /estate/devices/{id}/edit", web.For(access.ChangeEstate), k.editDevice)
}

// actions is what a person just tried with a device, and what came of it.
type actions struct {
	Form    map[string]string
	Problem *estate.Invalid
	Refused *refusal
	Wrong   string // field of a waiver that cannot be taken
}

// refusal is the gate's answer, as it is told to a person: who says so, since
// when, why, and what would change it.
type refusal struct {
	Site     estate.Site
	Verdicts []verdictView
	BodyOpen bool
}

// view is a verdict with its rule.
func (k *Know) view(v policy.Verdict) verdictView {
	out := verdictView{Verdict: v}
	out.Rule, _ = k.rules().Restriction(v.Restriction)
	out.Clause, _ = k.rules().Clause(v.Clause)
	return out
}

// answer goes back to the device, or shows its page with what went wrong.
func (k *Know) answer(rw http.ResponseWriter, r *http.Request, fields map[string]string, err error) error {
	if err == nil {
		http.Redirect(rw, r, "/estate/devices/"+r.PathValue("id"), http.StatusSeeOther)
		return nil
	}
	d, pageErr := k.deviceData(r)
	if pageErr != nil {
		return pageErr
	}
	d.Form = fields
	status := http.StatusUnprocessableEntity
	var refused *policy.Refusal
	var wrong *policy.Invalid
	switch {
	case errors.As(err, &refused):
		status = http.StatusConflict
		d.Refused = &refusal{BodyOpen: refused.Gating.BodyOpen}
		if d.Refused.Site, err = k.o.Estate.Site(r.Context(), fields["site"]); err != nil {
			return err
		}
		for _, v := range refused.Gating.Refusing {
			d.Refused.Verdicts = append(d.Refused.Verdicts, k.view(v))
		}
	case errors.As(err, &wrong):
		d.Wrong = wrong.Field
	case errors.As(err, &d.Problem):
	default:
		return err
	}
	return k.render(rw, r, "device", status, d)
}

// adopt says that a device belongs to a site, or takes it to another.
func (k *Know) adopt(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.device(r, access.ChangeEstate)
	if err != nil {
		return err
	}
	f, err := readForm(rw, r, "site", "why")
	if err != nil {
		return err
	}
	if f["site"] != "" {
		if err := k.allow(r, access.ChangeEstate, f["site"]); err != nil {
			return err
		}
	}
	_, err = k.o.Estate.Adopt(r.Context(), d.ID, f["site"], user(r), f["why"])
	if err == nil {
		k.log.Info("device adopted", "device", d.ID, "site", f["site"], "user", user(r))
	}
	return k.answer(rw, r, f, err)
}

func (k *Know) remove(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.device(r, access.ChangeEstate)
	if err != nil {
		return err
	}
	f, err := readForm(rw, r, "why")
	if err != nil {
		return err
	}
	_, err = k.o.Estate.RemoveDevice(r.Context(), d.ID, user(r), f["why"])
	return k.answer(rw, r, f, err)
}

// settleLink says whether two devices are one.
func (k *Know) settleLink(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.device(r, access.ChangeEstate)
	if err != nil {
		return err
	}
	f, err := readForm(rw, r, "other", "do")
	if err != nil {
		return err
	}
	other, err := k.o.Estate.Device(r.Context(), estate.DeviceID(f["other"]))
	if err != nil {
		return err
	}
	if err := k.allow(r, access.ChangeEstate, other.Site); err != nil {
		return err
	}
	if f["do"] == "apart" {
		return k.answer(rw, r, f, k.o.Estate.KeepApart(r.Context(), d.ID, other.ID, user(r), ""))
	}
	keep, gone := d, other // a proposal joins the one that is adopted
	if keep.State == estate.Proposed && gone.State == estate.Adopted {
		keep, gone = gone, keep
	}
	if _, err := k.o.Estate.Merge(r.Context(), keep.ID, gone.ID, user(r), ""); err != nil {
		return k.answer(rw, r, f, err)
	}
	http.Redirect(rw, r, "/estate/devices/"+string(keep.ID), http.StatusSeeOther)
	return nil
}

// waive signs an exception. It may be for a site where the device is to hang
// and is refused.
func (k *Know) waive(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.device(r, access.SeeEstate)
	if err != nil {
		return err
	}
	f, err := readForm(rw, r, "site", "approved_by", "reason", "measures", "until")
	if err != nil {
		return err
	}
	if f["site"] == "" {
		f["site"] = d.Site
	}
	if err := k.allow(r, access.Waive, f["site"]); err != nil {
		return err
	}
	w := policy.Waiver{
		Device: string(d.ID), Site: f["site"], Clauses: r.PostForm["clause"], Reason: f["reason"], Measures: f["measures"],
		ApprovedBy: f["approved_by"], MadeBy: user(r),
	}
	if day, err := time.Parse(time.DateOnly, f["until"]); err == nil {
		w.Until = policy.NewDate(day.Date())
	}
	w, err = k.o.Book.Waive(r.Context(), w)
	if err == nil {
		k.log.Info("waiver signed", "waiver", w.ID, "device", d.ID, "site", w.Site, "until", w.Until, "user", user(r))
	}
	return k.answer(rw, r, f, err)
}

func (k *Know) revoke(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.device(r, access.SeeEstate)
	if err != nil {
		return err
	}
	f, err := readForm(rw, r, "waiver", "why")
	if err != nil {
		return err
	}
	all, err := k.o.Book.Waivers(r.Context(), string(d.ID))
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(w policy.Waiver) bool { return w.ID == f["waiver"] })
	if at < 0 {
		return web.ErrNotFound
	}
	if err := k.allow(r, access.Waive, all[at].Site); err != nil {
		return err
	}
	return k.answer(rw, r, f, k.o.Book.Revoke(r.Context(), f["waiver"], user(r), f["why"]))
}

// deviceForm is what a person says of a device.
type deviceForm struct {
	say
	Device  estate.Device
	Form    map[string]string
	Problem *estate.Invalid
}

// Wrong reports whether a field is to blame.
func (d deviceForm) Wrong(field string) bool { return d.Problem != nil && d.Problem.Field == field }

// Kinds, Networks, Exposures and Purposes list what the form offers.
func (deviceForm) Kinds() []estate.Kind {
	return []estate.Kind{estate.KindCamera, estate.KindRecorder, estate.KindEncoder, estate.KindIntercom, estate.KindOther}
}

func (deviceForm) Networks() []estate.Network {
	return []estate.Network{estate.NetworkUnknown, estate.NetworkCore, estate.NetworkIsolated}
}

func (deviceForm) Exposures() []estate.Exposure {
	return []estate.Exposure{estate.ExposureUnknown, estate.ExposureInternal, estate.ExposureInternet}
}

func (d deviceForm) Purposes() []policy.NamedThing { return d.k.rules().Purposes() }

func (k *Know) showEditDevice(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.device(r, access.ChangeEstate)
	if err != nil {
		return err
	}
	form := map[string]string{
		"name": d.Name, "kind": string(d.Kind), "network": string(d.Network), "exposure": string(d.Exposure), "purpose": d.Purpose, "tag": d.Tag,
		"cost": money(d.Cost), "currency": d.Currency, "deployed": dayText(d.Deployed), "addresses": addressText(d.Addresses), "macs": strings.Join(d.MACs, " "), "serial": d.Serial,
	}
	return k.render(rw, r, "change", http.StatusOK, deviceForm{say: k.say(r), Device: d, Form: form})
}

func dayText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}

func addressText(all []netip.Addr) string {
	words := make([]string, len(all))
	for i, a := range all {
		words[i] = a.String()
	}
	return strings.Join(words, " ")
}

// money writes what readMoney reads.
func money(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(n)/100, 'f', 2, 64)
}

// readMoney reads an amount as people write it, in hundredths.
func readMoney(s string) (int64, error) {
	s = strings.NewReplacer(",", ".", " ", "", "\u00a0", "", "\u202f", "").Replace(s)
	if s == "" {
		return 0, nil
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || !(x >= 0 && x < 1e10) {
		return 0, &estate.Invalid{Field: "cost", Code: "money", Value: clip(s, 40)}
	}
	return int64(x*100 + 0.5), nil
}

func readDay(field, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1980 || t.Year() > 2200 {
		return time.Time{}, &estate.Invalid{Field: field, Code: "date", Value: clip(s, 40)}
	}
	return t, nil
}

func readAddresses(s string) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' || r == ';' }) {
		a, err := netip.ParseAddr(word)
		if err != nil {
			return nil, &estate.Invalid{Field: "addresses", Code: "address", Value: clip(word, 64)}
		}
		all = append(all, a)
	}
	return all, nil
}

func (k *Know) editDevice(rw http.ResponseWriter, r *http.Request) error {
	d, err := k.device(r, access.ChangeEstate)
	if err != nil {
		return err
	}
	f, err := readForm(rw, r, "name", "kind", "network", "exposure", "purpose", "tag", "cost", "currency", "deployed", "addresses", "macs", "serial", "why")
	if err != nil {
		return err
	}
	err = k.storeDevice(r, d, f)
	if err == nil {
		http.Redirect(rw, r, "/estate/devices/"+string(d.ID), http.StatusSeeOther)
		return nil
	}
	form := deviceForm{say: k.say(r), Device: d, Form: f}
	if !errors.As(err, &form.Problem) {
		return err
	}
	return k.render(rw, r, "change", http.StatusUnprocessableEntity, form)
}

func (k *Know) storeDevice(r *http.Request, d estate.Device, f map[string]string) error {
	cost, err := readMoney(f["cost"])
	if err != nil {
		return err
	}
	deployed, err := readDay("deployed", f["deployed"])
	if err != nil {
		return err
	}
	addresses, err := readAddresses(f["addresses"])
	if err != nil {
		return err
	}
	_, err = k.o.Estate.UpdateDevice(r.Context(), d.ID, func(d *estate.Device) {
		d.Name, d.Kind, d.Network, d.Exposure = f["name"], estate.Kind(f["kind"]), estate.Network(f["network"]), estate.Exposure(f["exposure"])
		d.Purpose, d.Tag, d.Serial, d.Cost, d.Currency, d.Deployed = f["purpose"], f["tag"], f["serial"], cost, f["currency"], deployed
		d.Addresses, d.MACs = addresses, strings.Fields(f["macs"])
	}, user(r), f["why"])
	return err
}
