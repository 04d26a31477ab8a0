package know

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/watchward/watchward/internal/web"
)

// maxJSON bounds what a script may send.
const maxJSON = 64 << 10

func readJSON(rw http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(rw, r.Body, maxJSON))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return err
	case err != nil:
		return web.Problem{Status: http.StatusBadRequest, Code: "bad-request", Detail: err.Error()}
	}
	return nil
}
