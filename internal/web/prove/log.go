package prove

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/ledger"
	"github.com/watchward/watchward/internal/web"
)

// pageOfLeaves is how many leaves a page shows.
const pageOfLeaves = 100

// leafView is a leaf as a person reads it.
type leafView struct {
	ledger.Leaf
	Words []ledger.Field // what its commitments hide, as far as it was not forgotten
}

// Facts are its fields without the commitments.
func (l leafView) Facts() []ledger.Field {
	return slices.DeleteFunc(slices.Clone(l.Fields), func(f ledger.Field) bool { return strings.HasPrefix(f.Key, "commit-") })
}

// detail is what a list leaves to the page of the entry.
var detail = []string{"sha256", "session", "clock-error-ms", "entered", "bytes", "state"}

// Brief are the facts that tell entries of a kind apart.
func (l leafView) Brief() []ledger.Field {
	return slices.DeleteFunc(l.Facts(), func(f ledger.Field) bool {
		return slices.Contains(detail, f.Key) && f.Value != "damaged" && f.Value != "torn"
	})
}

// Hidden lists what is committed to and no longer to be read.
func (l leafView) Hidden() []string {
	var hidden []string
	for _, f := range l.Fields {
		key, ok := strings.CutPrefix(f.Key, "commit-")
		if ok && !slices.ContainsFunc(l.Words, func(w ledger.Field) bool { return w.Key == key }) {
			hidden = append(hidden, key)
		}
	}
	return hidden
}

type logData struct {
	Status ledger.Status
	Now    time.Time
	Leaves []leafView // the newest first
	Older  string     // address of the page before in time, "" at the end
	Newer  string
}

// Count is how many leaves the tree has.
func (d logData) Count() int { return int(d.Status.Checkpoint.Size) }

// RootText is the tree's root as the checkpoint writes it.
func (d logData) RootText() string {
	return base64.StdEncoding.EncodeToString(d.Status.Checkpoint.Root[:])
}

// leaves reads a page of the log that ends before an index; 0 means at the end.
// However long the log is, only the files these leaves lie in are read.
func (p *Prove) leaves(r *http.Request) (d logData, err error) {
	d.Now = p.now()
	if d.Status, err = p.o.Ledger.Status(r.Context()); err != nil {
		return d, err
	}
	size := d.Status.Checkpoint.Size
	before := size
	if text := r.URL.Query().Get("before"); text != "" {
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil || n == 0 {
			return d, web.ErrBadRequest
		}
		before = min(n, size)
	}
	from := before - min(before, pageOfLeaves)
	leaves, err := p.o.Ledger.Leaves(r.Context(), from, int(before-from))
	if err != nil {
		return d, err
	}
	for _, l := range slices.Backward(leaves) {
		words, err := p.o.Ledger.Secrets(l)
		if err != nil {
			return d, err
		}
		d.Leaves = append(d.Leaves, leafView{l, words})
	}
	if from > 0 {
		d.Older = "/log?before=" + strconv.FormatUint(from, 10)
	}
	if before < size {
		d.Newer = "/log?before=" + strconv.FormatUint(min(before+pageOfLeaves, size), 10)
	}
	return d, nil
}

func (p *Prove) showLog(rw http.ResponseWriter, r *http.Request) error {
	d, err := p.leaves(r)
	if err != nil {
		return err
	}
	return p.render(rw, r, "log", d)
}

// index reads which leaf a request is about.
func index(r *http.Request) (uint64, error) {
	n, err := strconv.ParseUint(r.PathValue("index"), 10, 63)
	if err != nil {
		return 0, web.ErrNotFound
	}
	return n, nil
}

type leafData struct {
	leafView
	Raw    string
	Key    string // that the proof is checked with
	Origin string
	Size   uint64 // of the tree that the proof is for
	Hashes int
}

func (p *Prove) showLeaf(rw http.ResponseWriter, r *http.Request) error {
	n, err := index(r)
	if err != nil {
		return err
	}
	status, err := p.o.Ledger.Status(r.Context())
	if err != nil {
		return err
	}
	proof, err := p.o.Ledger.Prove(r.Context(), n)
	if err != nil {
		return err
	}
	// What is shown was checked as a stranger would check it.
	leaf, checkpoint, err := proof.Verify(status.Key)
	if err != nil {
		return err
	}
	words, err := p.o.Ledger.Secrets(leaf)
	if err != nil {
		return err
	}
	return p.render(rw, r, "leaf", leafData{
		leafView: leafView{leaf, words}, Raw: string(proof.Leaf), Key: status.Key,
		Origin: checkpoint.Origin, Size: checkpoint.Size, Hashes: len(proof.Hashes),
	})
}

// leafInfo is a leaf for scripts.
type leafInfo struct {
	Seq    uint64            `json:"seq"`
	Time   time.Time         `json:"time"`
	Kind   string            `json:"kind"`
	Fields map[string]string `json:"fields"`
	Words  map[string]string `json:"words,omitempty"`
}

func (p *Prove) apiLog(rw http.ResponseWriter, r *http.Request) error {
	d, err := p.leaves(r)
	if err != nil {
		return err
	}
	infos := make([]leafInfo, len(d.Leaves))
	for i, l := range d.Leaves {
		infos[i] = leafInfo{Seq: l.Seq, Time: l.Time, Kind: string(l.Kind), Fields: asMap(l.Fields), Words: asMap(l.Words)}
	}
	return web.JSON(rw, map[string]any{"size": d.Status.Checkpoint.Size, "checkpoint": string(d.Status.Checkpoint.Note), "key": d.Status.Key, "leaves": infos})
}

func asMap(fields []ledger.Field) map[string]string {
	m := make(map[string]string, len(fields))
	for _, f := range fields {
		m[f.Key] = f.Value
	}
	return m
}

// apiProof is what a stranger checks offline: the leaf's bytes, its place, the
// hashes from it to the root, and the signed checkpoint.
func (p *Prove) apiProof(rw http.ResponseWriter, r *http.Request) error {
	n, err := index(r)
	if err != nil {
		return err
	}
	proof, err := p.o.Ledger.Prove(r.Context(), n)
	if err != nil {
		return err
	}
	hashes := make([]string, len(proof.Hashes))
	for i, h := range proof.Hashes {
		hashes[i] = base64.StdEncoding.EncodeToString(h)
	}
	return web.JSON(rw, map[string]any{
		"leaf": string(proof.Leaf), "index": proof.Index, "hashes": hashes, "checkpoint": string(proof.Checkpoint),
	})
}
