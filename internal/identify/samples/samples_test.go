package samples

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

func TestRead(t *testing.T) {
	files := fstest.MapFS{"t/a.txt": {Data: []byte("A")}, "secret": {Data: []byte("S")}}
	for _, tt := range []struct{ name, index, want, err string }{
		{"columns in any order, others beside them", "protocol,maker,id,file\nmac,x,1,a.txt\n", "1 mac A", ""},
		{"a byte order mark", "\ufeffid,file,protocol\n1,a.txt,mac\n", "1 mac A", ""},
		{"a missing file, and the next", "id,file,protocol\n1,b.txt,mac\n2,a.txt,mac\n", `line 2: sample "1": open t/b.txt: file does not exist|2 mac A`, ""},
		{"a row too short", "id,file,protocol\n1\n2,a.txt,mac\n", `line 2: 1 columns: want 3|2 mac A`, ""},
		{"no kind", "id,file,protocol\n1,a.txt,\n", `line 2: id "1", file "a.txt", protocol "": want all three`, ""},
		{"a broken quotation mark", "id,file,protocol\n1,\"a\"x,mac\n2,a.txt,mac\n", "line 2: |2 mac A", ""},
		{"a path that leaves the folder", "id,file,protocol\n1,../secret,mac\n", "does not exist", ""},
		{"no such column", "id,file\n1,a.txt\n", "", `no column "protocol"`},
		{"no header", "", "", "it is empty"},
	} {
		files["t/index.csv"] = &fstest.MapFile{Data: []byte(tt.index)}
		var got []string
		err := Read(files, "t/index.csv", func(s Sample, err error) error {
			if err != nil {
				got = append(got, err.Error())
				return nil
			}
			got = append(got, fmt.Sprintf("%s %s %s", s.ID, s.Evidence.Kind, s.Evidence.Value))
			return nil
		})
		if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) || tt.err == "" && err != nil {
			t.Errorf("%s: Read says %v, want %q", tt.name, err, tt.err)
		}
		for i, want := range strings.Split(tt.want, "|") {
			if want != "" && (i >= len(got) || !strings.Contains(got[i], want)) {
				t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("id,file,protocol\n1,a.txt,mac\n")
	f.Add("id,file,protocol\n1,\"a\nb")
	f.Add("id,file,protocol\n0\"00000")
	f.Fuzz(func(t *testing.T, index string) {
		n := 0
		_ = Read(fstest.MapFS{"index.csv": {Data: []byte(index)}, "a.txt": {Data: []byte("x")}}, "index.csv", func(Sample, error) error {
			if n++; n > len(index)+1 {
				t.Fatal("more rows than bytes")
			}
			return nil
		})
	})
}
