package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// maxDepth caps how deeply a configuration may nest.
const maxDepth = 16

// configError is something wrong at a place in the file.
type configError struct {
	at   string // ":line:column"
	msg  string
	hint string
}

func (e *configError) Error() string { return e.at + ": " + e.msg }
func (e *configError) Hint() string  { return e.hint }

// checkKeys reads JSON and refuses every key that is not, letter by letter, a
// field of want, and every key said twice. encoding/json alone would take
// "LISTEN", and say nothing of where an unknown key stands.
func checkKeys(b []byte, want any) error {
	w := keyWalker{src: b, dec: json.NewDecoder(bytes.NewReader(b))}
	if err := w.value(reflect.TypeOf(want), "", 0); err != nil {
		return err
	}
	if _, err := w.dec.Token(); !errors.Is(err, io.EOF) {
		return w.wrong("", "something follows the end of the configuration")
	}
	return nil
}

type keyWalker struct {
	src []byte
	dec *json.Decoder
	at  int64 // where the token just read begins
}

// value reads one value; t is nil where any value is as good to us.
func (w *keyWalker) value(t reflect.Type, path string, depth int) error {
	tok, err := w.token()
	if err != nil {
		return err
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		if path == "" {
			return w.wrong("", "want an object: { … }")
		}
		return nil // encoding/json judges scalars
	}
	if depth == maxDepth {
		return w.wrong("", "nested too deeply")
	}
	if delim == '{' {
		return w.object(t, path, depth)
	}
	for w.dec.More() {
		if err := w.value(nil, path+"[]", depth+1); err != nil {
			return err
		}
	}
	_, err = w.token()
	return err
}

// object reads the keys and values after an opening brace.
func (w *keyWalker) object(t reflect.Type, path string, depth int) error {
	known := fields(t)
	var seen []string
	for w.dec.More() {
		tok, err := w.token()
		if err != nil {
			return err
		}
		key, _ := tok.(string)
		field, ok := known[key]
		switch {
		case known != nil && !ok:
			return w.wrong(nearest(key, path, known), "unknown key %q", path+key)
		case slices.Contains(seen, key):
			return w.wrong("keep one of the two", "key %q is there twice", path+key)
		}
		seen = append(seen, key)
		if err := w.value(field, path+key+".", depth+1); err != nil {
			return err
		}
	}
	_, err := w.token()
	return err
}

// token reads one token; a syntax error gets its place.
func (w *keyWalker) token() (json.Token, error) {
	w.at = w.dec.InputOffset()
	for w.at < int64(len(w.src)) && strings.IndexByte(" \t\r\n,:", w.src[w.at]) >= 0 {
		w.at++
	}
	tok, err := w.dec.Token()
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return tok, nil
	case errors.As(err, &syntax):
		return nil, &configError{
			at: position(w.src, syntax.Offset-1), msg: "no JSON: " + syntax.Error(),
			hint: "JSON has no comments, and no comma before a closing brace",
		}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, &configError{at: position(w.src, int64(len(w.src))), msg: "the file ends too early"}
	}
	return nil, err
}

// wrong returns an error at the token just read.
func (w *keyWalker) wrong(hint, format string, args ...any) error {
	return &configError{at: position(w.src, w.at), msg: fmt.Sprintf(format, args...), hint: hint}
}

// fields returns the JSON keys of a struct and what they hold, nil for others.
func fields(t reflect.Type) map[string]reflect.Type {
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	m := make(map[string]reflect.Type, t.NumField())
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		m[name] = f.Type
	}
	return m
}

// nearest hints at the known key that was probably meant.
func nearest(key, path string, known map[string]reflect.Type) string {
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	best, bestDistance := "", 3 // two slips of the finger
	for _, name := range names {
		if d := distance(strings.ToLower(key), name); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", path+best)
	}
	return "known here: " + path + strings.Join(names, ", "+path)
}

// distance is the Levenshtein distance of two short words.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// position returns ":line:column" of the byte at offset, both from 1.
func position(b []byte, offset int64) string {
	before := b[:max(0, min(offset, int64(len(b))))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fmt.Sprintf(":%d:%d", line, column)
}

// kindName says a Go type in the words of JSON.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Struct:
		return "an object"
	}
	return t.Kind().String()
}
