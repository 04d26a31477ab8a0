package simulate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/watchward/watchward/internal/simulate/scenes"
)

// post is a camera's place in the town.
type post struct {
	scene, name, site string
	login             loginKind
	face              string // worn with [Options.Faces]
	secure, tunnel    bool
}

// loginKind is how a camera without a face asks for the password.
type loginKind int

const (
	digestMD5 loginKind = iota
	digestSHA256
	basicAndDigest
)

// challenges are those of [faces.Login].
func (k loginKind) challenges() []string {
	switch k {
	case digestSHA256:
		return []string{`Digest realm="{realm}", nonce="{nonce}", algorithm=SHA-256, qop="auth"`}
	case basicAndDigest:
		return []string{`Basic realm="{realm}"`, `Digest realm="{realm}", nonce="{nonce}"`}
	}
	return []string{`Digest realm="{realm}", nonce="{nonce}"`}
}

// posts are the cameras of the town in order. Habits are spread so that the
// first nine show every one of them.
func posts() []post {
	return []post{
		{scene: "harbour-gate", name: "Harbour gate", site: "harbour", face: "hikvision"},
		{scene: "market-square", name: "Market square", site: "town-hall", face: "dahua"},
		{scene: "high-street", name: "High street", site: "town-hall", login: basicAndDigest, face: "hikvision-rebrand"},
		{scene: "school-crossing", name: "School crossing", site: "school", face: "uniview-rebrand"},
		{scene: "car-park", name: "Car park", site: "town-hall", face: "axis"},
		{scene: "lobby", name: "Town hall lobby", site: "town-hall", secure: true, face: "hanwha"},
		{scene: "corridor", name: "School corridor", site: "school", tunnel: true, face: "bosch"},
		{scene: "loading-bay", name: "Loading bay", site: "harbour", login: digestSHA256, face: "dahua-rebrand"},
		{scene: "river-bridge", name: "River bridge", site: "harbour", face: "xiongmai"},
		{scene: "school-yard", name: "School yard", site: "school", face: "tp-link"},
	}
}

// sceneCameras builds the town's own cameras. Cameras of one scene share its packets.
func sceneCameras(o Options) ([]*camera, error) {
	posts := posts()
	n := o.Cameras
	if n == 0 {
		n = len(posts)
	}
	type pair struct{ main, sub *source }
	loaded := map[string]pair{}
	var out []*camera
	for i := range n {
		p := posts[i%len(posts)]
		s, ok := loaded[p.scene]
		if !ok {
			var err error
			if s.main, err = sceneSource(p.scene, "main", o.Bitrate); err == nil {
				s.sub, err = sceneSource(p.scene, "sub", 0)
			}
			if err != nil {
				return nil, fmt.Errorf("load scene: %w", err)
			}
			loaded[p.scene] = s
		}
		name, slug := p.name, p.scene
		if round := i / len(posts); round > 0 {
			name = fmt.Sprintf("%s %d", name, round+1)
		}
		info := CameraInfo{ID: fmt.Sprintf("cam-%02d-%s", i+1, slug), Name: name, Site: p.site, Scene: p.scene}
		c := newCamera(info, s.main, s.sub, p.login)
		c.httpTunnel = p.tunnel
		if p.secure {
			cert, err := selfSigned()
			if err != nil {
				return nil, err
			}
			c.cert = cert
		}
		out = append(out, c)
	}
	return out, nil
}

func sceneSource(scene, stream string, bitrate int) (*source, error) {
	names, err := fs.Glob(scenes.Media, "media/"+scene+"-"+stream+".*")
	if err != nil || len(names) != 1 {
		return nil, fmt.Errorf("scene %q has %d files for stream %q: want 1", scene, len(names), stream)
	}
	data, err := scenes.Media.ReadFile(names[0])
	if err != nil {
		return nil, err
	}
	return newSource(filepath.Base(names[0]), stream, data, bitrate)
}

func newSource(name, stream string, data []byte, bitrate int) (*source, error) {
	c, err := demux(name, data)
	if err != nil {
		return nil, err
	}
	s := &source{path: stream}
	if s.video, err = newPlan(c.video, bitrate); err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	if c.audio != nil {
		if s.audio, err = newPlan(c.audio, 0); err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
	}
	return s, nil
}

// footageCameras makes a camera of each file in a folder.
func footageCameras(o Options) ([]*camera, error) {
	entries, err := os.ReadDir(o.Footage)
	if err != nil {
		return nil, fmt.Errorf("read footage: %w", err)
	}
	var names []string
	for _, e := range entries {
		switch strings.ToLower(filepath.Ext(e.Name())) {
		case ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi":
			if !e.IsDir() {
				names = append(names, e.Name())
			}
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("footage folder %q: want MP4, MKV or AVI files, found none", o.Footage)
	}
	slices.Sort(names)
	var sources []*source
	var errs []error
	for _, name := range names {
		s, err := footageSource(filepath.Join(o.Footage, name), o.Bitrate)
		if err != nil {
			errs = append(errs, fmt.Errorf("footage %w", err))
			continue
		}
		sources = append(sources, s)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	n := o.Cameras
	if n == 0 {
		n = len(sources)
	}
	var out []*camera
	for i := range n {
		file := names[i%len(names)]
		base := strings.TrimSuffix(file, filepath.Ext(file))
		name := base
		if round := i / len(names); round > 0 {
			name = fmt.Sprintf("%s %d", base, round+1)
		}
		info := CameraInfo{ID: fmt.Sprintf("cam-%02d-%s", i+1, slug(base)), Name: name, Site: "footage", Scene: file}
		out = append(out, newCamera(info, sources[i%len(sources)], nil, digestMD5))
	}
	return out, nil
}

func footageSource(path string, bitrate int) (*source, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.Size() > maxFile {
		return nil, fmt.Errorf("%q: larger than %d MB: cut a shorter piece", path, maxFile>>20)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return newSource(filepath.Base(path), "main", data, bitrate)
}

// slug turns a file's name into a word of ids: a-z, 0-9 and hyphens.
func slug(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if n := b.Len(); n > 0 && b.String()[n-1] != '-' {
			b.WriteByte('-')
		}
		if b.Len() >= 40 {
			break
		}
	}
	if out := strings.Trim(b.String(), "-"); out != "" {
		return out
	}
	return "clip"
}

// selfSigned is what most cameras show for a certificate.
func selfSigned() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "IP camera"},
		NotBefore:    now.Add(-time.Hour), NotAfter: now.AddDate(5, 0, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
