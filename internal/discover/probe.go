package discover

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/watchward/watchward/internal/camera"
	"github.com/watchward/watchward/internal/camera/exchange"
	"github.com/watchward/watchward/internal/camera/onvif"
	"github.com/watchward/watchward/internal/camera/rtsp"
	"github.com/watchward/watchward/internal/estate"
	"github.com/watchward/watchward/internal/identify"
)

// ProbeOptions configures a [Probe].
type ProbeOptions struct {
	Address  netip.Addr // required
	Web      int        // port of its pages; 0 means 80
	ONVIF    []int      // ports where ONVIF may be; none means Web, 8899 and 2020
	TLS      bool       // the pages are behind TLS
	User     string     // required: the device's own login, and no other
	Password camera.Secret

	// AllowBasic lets the password go out in the clear to a device that knows no
	// better. Over TLS it may always, though nobody checks whose that is.
	AllowBasic bool

	Dialer Dialer           // nil means [System]
	Now    func() time.Time // nil means [time.Now]
}

// ErrLogin means that the device refused its login. It is not tried again, since
// some lock who tries thrice.
var ErrLogin = errors.New("device refused its login")

// Probe asks an adopted device, by its own login, what nobody else is told: its
// numbering by ONVIF and by the makers' own pages. It reads, and changes nothing.
func Probe(ctx context.Context, o ProbeOptions) (Found, error) {
	if o.User == "" || !o.Address.IsValid() {
		return Found{}, errors.New("probe device: want an address and its login")
	}
	if o.Web == 0 {
		o.Web = 80
	}
	if len(o.ONVIF) == 0 {
		o.ONVIF = []int{o.Web, 8899, 2020}
	}
	if o.Dialer == nil {
		o.Dialer = System{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	p := &prober{o: o, found: Found{Address: o.Address, At: o.Now().UTC()}}
	err := p.onvif(ctx)
	if err == nil || !errors.Is(err, ErrLogin) {
		err = errors.Join(err, p.pages(ctx))
	}
	number(p.found.Evidence)
	if len(p.found.Evidence) > 0 && !errors.Is(err, ErrLogin) {
		err = nil // one way in is enough
	}
	if err != nil {
		return p.found, fmt.Errorf("probe %s: %w", o.Address, err)
	}
	return p.found, nil
}

type prober struct {
	o     ProbeOptions
	found Found
}

func (p *prober) keep(kind string, port int, value []byte) {
	p.found.Evidence = append(p.found.Evidence, estate.Evidence{
		Kind: kind, Port: port, Value: string(value[:min(len(value), maxValue)]), Login: true, At: p.o.Now().UTC(), Source: "camera",
	})
}

// onvif asks at the first port that speaks it.
func (p *prober) onvif(ctx context.Context) error {
	var failed error
	for _, port := range p.o.ONVIF {
		o := onvif.Options{
			Dialer: p.o.Dialer, Address: net.JoinHostPort(p.o.Address.String(), strconv.Itoa(port)), User: p.o.User, Password: p.o.Password,
		}
		if p.o.TLS && port == p.o.Web {
			o.TLS = func(c net.Conn) net.Conn { return tls.Client(c, tlsConfig()) }
		}
		c, err := onvif.New(o)
		if err != nil {
			return err
		}
		if _, err := c.Clock(ctx); err != nil {
			failed = err
			continue
		}
		return p.onvifAt(ctx, c, port)
	}
	return failed
}

func (p *prober) onvifAt(ctx context.Context, c *onvif.Client, port int) error {
	info, err := c.Information(ctx)
	if errors.Is(err, onvif.ErrLogin) {
		return fmt.Errorf("%w: %w", ErrLogin, err)
	}
	if err == nil {
		p.keep(identify.KindONVIFDeviceInformation, port, info.Raw)
	}
	if _, raw, e := c.Scopes(ctx); e == nil {
		p.keep(identify.KindONVIFScopes, port, raw)
	}
	if macs, raw, e := c.NetworkInterfaces(ctx); e == nil {
		p.keep(identify.KindONVIFNetworkInterfaces, port, raw)
		p.found.MACs = macs
	}
	return err
}

// ownPages are what makers' devices tell who logs in.
func ownPages() []openPath {
	return append(openPaths(),
		openPath{"/cgi-bin/magicBox.cgi?action=getSystemInfo", identify.KindMagicBox, "="},
		openPath{"/cgi-bin/magicBox.cgi?action=getVendor", identify.KindMagicBox, "vendor="},
		openPath{"/cgi-bin/magicBox.cgi?action=getSoftwareVersion", identify.KindMagicBox, "version="},
	)
}

// pages asks for those that the device asks a login for: a page that is not
// there says so without one, and then the login stays here.
func (p *prober) pages(ctx context.Context) error {
	for _, page := range ownPages() {
		a, err := p.page(ctx, page.path, "")
		if err != nil {
			return err
		}
		if a.Status == 401 {
			if a, err = p.login(ctx, page.path, a); err != nil {
				return err
			}
		}
		if a != nil && a.Status == 200 && looksLike(a.Text(4096), page.looks) && !looksLike(a.Text(512), "<html") {
			p.keep(page.kind, p.o.Web, a.Text(maxValue))
		}
	}
	return nil
}

// login asks again with the login, by the strongest way that is offered; nil
// where there is none that may be used.
func (p *prober) login(ctx context.Context, path string, refused *exchange.Answer) (*exchange.Answer, error) {
	for _, offer := range rtsp.ParseChallenges(refused.Values("WWW-Authenticate")) {
		if offer.Scheme == "basic" && !p.o.AllowBasic && !p.o.TLS {
			continue
		}
		a, err := p.page(ctx, path, "Authorization: "+offer.Answer(p.o.User, p.o.Password.Reveal(), "GET", path))
		if err == nil && a.Status == 401 {
			return nil, ErrLogin
		}
		return a, err
	}
	return nil, nil
}

func (p *prober) page(ctx context.Context, path, authorization string) (*exchange.Answer, error) {
	address := net.JoinHostPort(p.o.Address.String(), strconv.Itoa(p.o.Web))
	c, err := p.o.Dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if p.o.TLS {
		c = tls.Client(c, tlsConfig())
	}
	x := exchange.New(c, exchange.Limits{})
	defer x.Close()
	r := exchange.Request{Method: "GET", Target: path, Host: address, Header: []string{"Connection: close"}}
	if authorization != "" {
		r.Header = append(r.Header, authorization)
	}
	a, err := x.Do(ctx, r)
	if err != nil && a != nil && a.Status != 0 {
		err = nil
	}
	return a, err
}
