package faces

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/xml"
	"hash/fnv"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"math/big"
	"strings"
	"time"
)

// tint is a face's colour, so that its pictures differ from others'.
func tint(name string) color.RGBA {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	v := h.Sum32()
	return color.RGBA{byte(v) | 0x20, byte(v >> 8), byte(v >> 16), 255}
}

// favicon is a small picture in an ICO file that no maker uses.
func favicon(name string) []byte {
	m := image.NewRGBA(image.Rect(0, 0, 16, 16))
	draw.Draw(m, m.Bounds(), image.NewUniform(tint(name)), image.Point{}, draw.Src)
	draw.Draw(m, image.Rect(5, 5, 11, 11), image.White, image.Point{}, draw.Src)
	var picture bytes.Buffer
	_ = png.Encode(&picture, m) // to memory
	head := []byte{0, 0, 1, 0, 1, 0, 16, 16, 0, 0, 1, 0, 32, 0}
	head = binary.LittleEndian.AppendUint32(head, uint32(picture.Len()))
	head = binary.LittleEndian.AppendUint32(head, uint32(len(head)+4))
	return append(head, picture.Bytes()...)
}

// still is a test card, for who asks for a snapshot: drawing what the camera
// shows would take a decoder.
func still(name string) []byte {
	m := image.NewRGBA(image.Rect(0, 0, 320, 180))
	bars := []color.RGBA{{255, 255, 255, 255}, {255, 255, 0, 255}, {0, 255, 255, 255}, {0, 255, 0, 255}, {255, 0, 255, 255}, {255, 0, 0, 255}, {0, 0, 255, 255}, tint(name)}
	for i, c := range bars {
		draw.Draw(m, image.Rect(i*40, 0, i*40+40, 180), image.NewUniform(c), image.Point{}, draw.Src)
	}
	var out bytes.Buffer
	_ = jpeg.Encode(&out, m, nil) // to memory
	return out.Bytes()
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

// certificate is what the device shows over HTTPS: made anew by each device, as
// cameras do at their first start.
func (d *Device) certificate() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: distinguished(d.fill(d.face.Subject)),
		NotBefore: now.AddDate(0, -6, 0), NotAfter: now.AddDate(20, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true,
	}
	parent := t
	if d.face.Issuer != "" { // signed by an authority that nobody has, with the same key
		parent = &x509.Certificate{Subject: distinguished(d.fill(d.face.Issuer)), IsCA: true}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// distinguished reads a name such as "CN=camera,O=Maker,C=XX", whose values
// hold no comma unless it is written \,.
func distinguished(s string) pkix.Name {
	var n pkix.Name
	for part := range strings.SplitSeq(strings.ReplaceAll(s, `\,`, "\x00"), ",") {
		key, value, _ := strings.Cut(part, "=")
		value = strings.ReplaceAll(value, "\x00", ",")
		switch strings.TrimSpace(key) {
		case "CN":
			n.CommonName = value
		case "O":
			n.Organization = []string{value}
		case "OU":
			n.OrganizationalUnit = []string{value}
		case "L":
			n.Locality = []string{value}
		case "ST":
			n.Province = []string{value}
		case "C":
			n.Country = []string{value}
		}
	}
	return n
}
