package access

import "testing"

func TestMay(t *testing.T) {
	harbour := Place{Site: "harbour", Organisations: []string{"port", "ministry"}}
	school := Place{Site: "school", Organisations: []string{"council"}}
	whole := Place{}
	has := func(role Role, s Scope) User { return User{ID: "1", Grants: []Grant{{role, s}}} }
	everywhere, port, ministry, atHarbour := Scope{}, Scope{Organisation: "port"}, Scope{Organisation: "ministry"}, Scope{Site: "harbour"}
	for _, tt := range []struct {
		name string
		user User
		act  Act
		at   Place
		want bool
	}{
		{"nobody", User{Grants: []Grant{{Role: Administrator}}}, SeeLive, harbour, false},
		{"no role", User{ID: "1"}, SeeLive, harbour, false},
		{"a role of another program", has("guest", everywhere), SeeLive, harbour, false},
		{"shut out", User{ID: "1", Closed: true, Grants: []Grant{{Role: Administrator}}}, SeeLive, harbour, false},
		{"viewer watches", has(Viewer, everywhere), SeeLive, harbour, true},
		{"viewer does not export", has(Viewer, everywhere), Export, harbour, false},
		{"viewer does not change", has(Viewer, everywhere), ChangeCameras, harbour, false},
		{"viewer of a site, there", has(Viewer, atHarbour), SeeRecorded, harbour, true},
		{"viewer of a site, elsewhere", has(Viewer, atHarbour), SeeRecorded, school, false},
		{"viewer of a site, of the whole", has(Viewer, atHarbour), SeeLive, whole, false},
		{"of an organisation, in it", has(Operator, port), ChangeCameras, harbour, true},
		{"of the organisation above", has(Operator, ministry), ChangeCameras, harbour, true},
		{"of another organisation", has(Operator, port), ChangeCameras, school, false},
		{"a site named like an organisation", has(Operator, Scope{Organisation: "harbour"}), ChangeCameras, harbour, false},
		{"operator does not change readers", has(Operator, everywhere), ChangeArchive, harbour, false},
		{"investigator holds", has(Investigator, everywhere), Hold, harbour, true},
		{"investigator does not adopt", has(Investigator, everywhere), ChangeEstate, harbour, false},
		{"auditor reads the log", has(Auditor, everywhere), SeeLog, whole, true},
		{"auditor sees no picture", has(Auditor, everywhere), SeeLive, harbour, false},
		{"auditor sees no recording", has(Auditor, everywhere), SeeRecorded, harbour, false},
		{"administrator of everything", has(Administrator, everywhere), ChangeUsers, whole, true},
		{"administrator of an organisation changes no users", has(Administrator, port), ChangeUsers, whole, false},
		{"administrator of an organisation, there", has(Administrator, port), Waive, harbour, true},
		{"two roles add up", User{ID: "1", Grants: []Grant{{Auditor, everywhere}, {Viewer, atHarbour}}}, SeeLive, harbour, true},
		{"two roles do not mix places", User{ID: "1", Grants: []Grant{{Auditor, everywhere}, {Viewer, atHarbour}}}, SeeLive, school, false},
		{"token for one act", User{ID: "1", Grants: []Grant{{Role: Administrator}}, only: []Act{SeeEstate}}, SeeEstate, harbour, true},
		{"token for another act", User{ID: "1", Grants: []Grant{{Role: Administrator}}, only: []Act{SeeEstate}}, SeeLive, harbour, false},
		{"token for nothing", User{ID: "1", Grants: []Grant{{Role: Administrator}}, only: []Act{}}, SeeLive, harbour, false},
		{"token of a user who may not", User{ID: "1", Grants: []Grant{{Role: Viewer}}, only: []Act{Export}}, Export, harbour, false},
	} {
		if got := May(tt.user, tt.act, tt.at); got != tt.want {
			t.Errorf("%s: May(%s) = %t, want %t", tt.name, tt.act, got, tt.want)
		}
	}
}

func TestMayAnywhere(t *testing.T) {
	u := User{ID: "1", Grants: []Grant{{Viewer, Scope{Site: "harbour"}}}}
	if !MayAnywhere(u, SeeLive) || MayAnywhere(u, Export) || MayAnywhere(User{}, SeeLive) {
		t.Error("want live pictures somewhere, no export anywhere, and nothing for nobody")
	}
}

// Whoever adds an act decides what it means for each role.
func TestEveryActBelongsToSomebody(t *testing.T) {
	reading := map[Act]bool{SeeLive: true, SeeRecorded: true, SeeEstate: true, SeeArchive: true, SeeLog: true}
	for _, act := range everyAct {
		if reading[act] == Auditor.may(act) && act != SeeLive && act != SeeRecorded {
			continue
		}
		if act == SeeLive || act == SeeRecorded {
			if Auditor.may(act) {
				t.Errorf("an auditor may %s", act)
			}
			continue
		}
		t.Errorf("an auditor and %s: want him to read all but pictures and change nothing", act)
	}
	for role, acts := range rights {
		for _, act := range acts {
			if !Administrator.may(act) {
				t.Errorf("%s may %s and an administrator may not", role, act)
			}
		}
	}
}
