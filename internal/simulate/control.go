package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// listenControl opens the control API and returns what serves it.
func (t *Town) listenControl(ctx context.Context) (serve func(), err error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", t.o.Control)
	if err != nil {
		return nil, fmt.Errorf("open control API: %w", err)
	}
	t.control = ln.Addr().String()
	server := &http.Server{Handler: t.Control(), ReadHeaderTimeout: 5 * time.Second}
	return func() {
		stop := context.AfterFunc(ctx, func() { server.Close() })
		defer stop()
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			t.o.Log.Error("control API ended", "error", err)
		}
	}, nil
}

// Control is the control API as a handler, see the package's description.
func (t *Town) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cameras", func(w http.ResponseWriter, _ *http.Request) {
		all := make([]cameraStatus, len(t.cameras))
		for i, c := range t.cameras {
			all[i] = c.status(time.Now())
		}
		writeJSON(w, http.StatusOK, all)
	})
	mux.HandleFunc("GET /devices", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, deviceStatuses(t.Devices()))
	})
	mux.HandleFunc("GET /cameras/{id}", t.withCamera(func(w http.ResponseWriter, _ *http.Request, c *camera) {
		writeJSON(w, http.StatusOK, c.status(time.Now()))
	}))
	mux.HandleFunc("POST /cameras/{id}/fault", t.withCamera(postFault))
	mux.HandleFunc("DELETE /cameras/{id}/fault", t.withCamera(func(w http.ResponseWriter, r *http.Request, c *camera) {
		var kinds []FaultKind
		for _, k := range r.URL.Query()["kind"] {
			kinds = append(kinds, FaultKind(k))
		}
		c.faults.clear(kinds)
		w.WriteHeader(http.StatusNoContent)
	}))
	return mux
}

func (t *Town) withCamera(h func(http.ResponseWriter, *http.Request, *camera)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, ok := t.byID[r.PathValue("id")]
		if !ok {
			writeJSON(w, http.StatusNotFound, map[string]string{"error": ErrNoCamera.Error()})
			return
		}
		h(w, r, c)
	}
}

// faultBody is a [Fault] as the control API has it.
type faultBody struct {
	Kind   FaultKind `json:"kind"`
	For    string    `json:"for"` // as time.ParseDuration has it; "" until cleared
	Amount float64   `json:"amount"`
}

func postFault(w http.ResponseWriter, r *http.Request, c *camera) {
	var b faultBody
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096))
	d.DisallowUnknownFields()
	err := d.Decode(&b)
	f := Fault{Kind: b.Kind, Amount: b.Amount}
	if err == nil && b.For != "" {
		f.For, err = time.ParseDuration(b.For)
	}
	if err == nil {
		err = c.fault(f)
	}
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// cameraStatus is what the control API tells of a camera.
type cameraStatus struct {
	ID       string      `json:"id"`
	Name     string      `json:"name"`
	Site     string      `json:"site"`
	Main     string      `json:"main"`
	Sub      string      `json:"sub,omitempty"`
	Secure   string      `json:"secure,omitempty"`
	Username string      `json:"username"`
	Password string      `json:"password"`
	Codec    string      `json:"codec"`
	Audio    string      `json:"audio,omitempty"`
	Scene    string      `json:"scene"`
	LoopMS   int64       `json:"loop_ms"`
	Epoch    time.Time   `json:"epoch"`           // the loop's beginning: what is shown at t is (t - epoch) modulo loop
	Truth    *Truth      `json:"truth,omitempty"` // what it is under its face
	Faults   []faultBody `json:"faults"`
	Viewers  []Viewer    `json:"viewers"`
}

func (c *camera) status(now time.Time) cameraStatus {
	i := c.Info()
	s := cameraStatus{
		ID: i.ID, Name: i.Name, Site: i.Site, Main: i.MainURL, Sub: i.SubURL, Secure: i.SecureURL,
		Username: i.Username, Password: i.Password, Codec: i.Codec.String(), Scene: i.Scene,
		LoopMS: i.Loop.Milliseconds(), Epoch: i.Epoch, Faults: []faultBody{}, Viewers: c.viewers(),
	}
	if i.Audio != 0 {
		s.Audio = i.Audio.String()
	}
	if i.Truth.Face != "" {
		s.Truth = &i.Truth
	}
	for _, f := range c.faults.list(now) {
		b := faultBody{Kind: f.Kind, Amount: f.Amount}
		if f.For > 0 {
			b.For = f.For.String()
		}
		s.Faults = append(s.Faults, b)
	}
	return s
}

// deviceStatus is what the control API tells of a device with a face.
type deviceStatus struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Site     string `json:"site"`
	Camera   string `json:"camera,omitempty"`
	IP       string `json:"ip"`
	Ports    []Port `json:"ports"`
	Username string `json:"username"`
	Password string `json:"password"`
	Truth    Truth  `json:"truth"`
}

func deviceStatuses(all []DeviceInfo) []deviceStatus {
	out := make([]deviceStatus, len(all))
	for i, d := range all {
		out[i] = deviceStatus{d.ID, d.Name, d.Site, d.Camera, d.IP.String(), d.Ports, d.Username, d.Password, d.Truth}
	}
	return out
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that went away is not our trouble
}
