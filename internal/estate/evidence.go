package estate

import "time"

// Evidence is one thing that was seen of a device, kept as it was seen, so that
// a better fingerprint can read it again. Value is hostile: whoever parses it
// bounds it.
type Evidence struct {
	// ID names it within its device, so that reasons can cite it.
	ID string `json:"id"`
	// Kind says what was seen and so how Value is to be read, such as
	// "rtsp-response", "http-title" or "mac"; package identify lists them.
	Kind string `json:"kind"`
	// Port is where it was seen; 0 where that means nothing.
	Port int `json:"port,omitempty"`
	// Value is what was seen: text or bytes as they came, at most 64 KiB.
	Value string `json:"value"`
	// Login: only a login with the device's own password shows it.
	Login bool `json:"login,omitempty"`
	// At is when it was seen.
	At time.Time `json:"at"`
	// Source says who saw it: "scan", "camera", "import nmap.xml".
	Source string `json:"source,omitempty"`
}

// Confidence says how far an identification can be relied on.
type Confidence string

// From not knowing to knowing.
const (
	Unknown    Confidence = "unknown"
	Hint       Confidence = "hint"        // one weak signal alone, or only the badge's word
	VeryLikely Confidence = "very-likely" // two independent families of strong signals agree
	Identified Confidence = "identified"  // a signal that settles the maker alone
)

// Rank orders confidences; what is not one ranks as Unknown.
func (c Confidence) Rank() int {
	switch c {
	case Hint:
		return 1
	case VeryLikely:
		return 2
	case Identified:
		return 3
	}
	return 0
}

// Kind is what a device is for.
type Kind string

// The kinds that rules tell apart.
const (
	KindUnknown  Kind = ""
	KindCamera   Kind = "camera"
	KindRecorder Kind = "recorder"
	KindEncoder  Kind = "encoder"
	KindIntercom Kind = "intercom"
	KindOther    Kind = "other" // not video equipment: a printer, a router
)

// Identification is a conclusion from evidence: package identify draws it.
type Identification struct {
	Brand      string     `json:"brand"`           // name on the badge, "" where none was seen
	Maker      string     `json:"maker"`           // ID in the graph of makers, "" where unknown
	MakerName  string     `json:"maker_name"`      // its usual short name: "Hikvision"
	Model      string     `json:"model,omitempty"` // as the device says
	Firmware   string     `json:"firmware,omitempty"`
	Serial     string     `json:"serial,omitempty"`
	Kind       Kind       `json:"kind,omitempty"`
	Confidence Confidence `json:"confidence"`
	BadgeOnly  bool       `json:"badge_only,omitempty"` // rests on the badge's word alone
	Because    []Reason   `json:"because"`
	// Conflicts are reasons for another maker. Where those would settle it as
	// well, Maker is "" and Confidence is Unknown.
	Conflicts []Reason `json:"conflicts,omitempty"`
	Data      string   `json:"data"` // version of the fingerprints and of the graph
}

// Reason is one fingerprint that matched one piece of evidence.
type Reason struct {
	Evidence    string `json:"evidence"`    // [Evidence.ID]
	Fingerprint string `json:"fingerprint"` // its ID in the data: "hikvision/rtsp-realm-model"
	Family      string `json:"family"`      // fingerprints of one family do not confirm each other
	Grade       string `json:"grade"`       // "A" settles the maker, "B" is strong, "C" a hint, "F" a false friend, "badge" the badge's word
	Maker       string `json:"maker,omitempty"`
	Brand       string `json:"brand,omitempty"`
	Saw         string `json:"saw"` // the bytes that matched, cleaned of control characters, at most 200
	Source      string `json:"source,omitempty"`
}
