package onvif

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of one document. A camera's longest answer, its profiles, is some
// 50 KiB with a thousand elements.
const (
	maxDocument = 1 << 20
	maxElements = 20_000
	maxDepth    = 64
	maxText     = 64 << 10
)

// element is one of a document. Names are without prefixes: devices disagree
// about those, and about namespaces more often than about names.
type element struct {
	name       string
	attributes []xml.Attr
	text       string
	children   []*element
}

// errDocument is a document that is refused for what it may cost.
var errDocument = errors.New("read XML")

// parse reads a document. It refuses a DTD, since an entity is the one thing in
// XML that grows by being read; Go's decoder expands none but the five anyway.
func parse(b []byte) (*element, error) {
	if len(b) > maxDocument {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", errDocument, len(b), maxDocument)
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	d.Strict = false
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	p := &parser{root: &element{}}
	p.open = []*element{p.root}
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			// Cut short, or with rubbish behind: what was read counts.
			if len(p.root.children) == 0 {
				return nil, fmt.Errorf("%w: %w", errDocument, err)
			}
			break
		}
		if err := p.take(token); err != nil {
			return nil, err
		}
	}
	if len(p.root.children) == 0 {
		return nil, fmt.Errorf("%w: no element", errDocument)
	}
	return p.root, nil
}

type parser struct {
	root     *element
	open     []*element
	elements int
}

func (p *parser) take(token xml.Token) error {
	top := p.open[len(p.open)-1]
	switch t := token.(type) {
	case xml.Directive:
		return fmt.Errorf("%w: it declares a document type", errDocument)
	case xml.StartElement:
		if p.elements++; p.elements > maxElements || len(p.open) > maxDepth {
			return fmt.Errorf("%w: more than %d elements, or %d deep", errDocument, maxElements, maxDepth)
		}
		e := &element{name: t.Name.Local, attributes: t.Copy().Attr}
		top.children = append(top.children, e)
		p.open = append(p.open, e)
	case xml.EndElement:
		// A device that closes what it did not open closes nothing.
		if len(p.open) > 1 && top.name == t.Name.Local {
			p.open = p.open[:len(p.open)-1]
		}
	case xml.CharData:
		if len(top.text)+len(t) <= maxText {
			top.text += string(t)
		}
	}
	return nil
}

// child returns the first child of a name, following a path; nil for none.
// Methods of a nil element find nothing.
func (e *element) child(path ...string) *element {
	for _, name := range path {
		if e == nil {
			return nil
		}
		var next *element
		for _, c := range e.children {
			if c.name == name {
				next = c
				break
			}
		}
		e = next
	}
	return e
}

// all returns every child of a name.
func (e *element) all(name string) []*element {
	if e == nil {
		return nil
	}
	var out []*element
	for _, c := range e.children {
		if c.name == name {
			out = append(out, c)
		}
	}
	return out
}

func (e *element) value(path ...string) string {
	if c := e.child(path...); c != nil {
		return strings.TrimSpace(strings.ToValidUTF8(c.text, "?"))
	}
	return ""
}

func (e *element) attribute(name string) string {
	if e == nil {
		return ""
	}
	for _, a := range e.attributes {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
