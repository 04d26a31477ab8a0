package discover

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const nmapSample = `<?xml version="1.0"?><!DOCTYPE nmaprun><nmaprun scanner="nmap">
<host><status state="up"/><address addr="10.0.0.5" addrtype="ipv4"/><address addr="44:19:B6:00:00:01" addrtype="mac"/>
<hostnames><hostname name="gate.example"/></hostnames>
<ports><port protocol="tcp" portid="80"><state state="open"/><script id="http-server-header" output="App-webs/"/><script id="http-title" output="Site doesn't have a title (text/html)."/></port>
<port protocol="tcp" portid="81"><state state="closed"/></port></ports></host>
<host><status state="up"/><address addr="10.0.0" addrtype="ipv4"/></host>
<host><status state="down"/><address addr="10.0.0.6" addrtype="ipv4"/></host>
<host><status state="up"/>`

func TestImport(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		found      []string // address mac kinds
		bad        []string
		err        string
	}{
		{"nmap, stopped half-way", nmapSample, []string{"10.0.0.5 44:19:B6:00:00:01 mac http-server port"}, []string{`line 6: host: "10.0.0" is no address`, "line 8: host: XML syntax error"}, ""},
		{"a list", "Name,IP Address,MAC,Brand,Model\ngate,10.0.0.5,4419.b600.0001,TRENDnet,TV-1\nx,10.0.0.999,,,\n,,,,\n", []string{"10.0.0.5 44:19:b6:00:00:01 list mac"}, []string{`line 3: "10.0.0.999" is no address`}, ""},
		{"a list with semicolons and a BOM", "\xef\xbb\xbfip;brand\r\n10.0.0.5;Axis\r\n", []string{"10.0.0.5  list"}, nil, ""},
		{"a list of the wrong columns", "a,b\n1,2\n", nil, nil, `no column "address"`},
		{"a list as PowerShell writes it", "\xff\xfea\x00d\x00d\x00r\x00e\x00s\x00s\x00,\x00m\x00\n\x001\x000\x00.\x000\x00.\x000\x00.\x001\x00\n\x00", []string{"10.0.0.1  "}, nil, ""},
		{"a table as PowerShell writes it", "\xff\xfe1\x000\x00.\x000\x00.\x000\x00.\x001\x00 \x004\x004\x00-\x001\x009\x00-\x00b\x006\x00-\x000\x000\x00-\x000\x000\x00-\x000\x001\x00", []string{"10.0.0.1 44:19:b6:00:00:01 mac"}, nil, ""},
		{"a list with a device twice, a field too many, a quotation mark too many", "address,brand\n10.0.0.5,Axis\n10.0.0.6,Axis,Hall\n10.0.0.5,Axis\n10.0.0.7,\"Axis\n", []string{"10.0.0.5  list"}, []string{"line 3: 3 fields, but the first row names 2", `line 4: "10.0.0.5" stands in line 2 already`, "line 5: quotation marks do not match"}, ""},
		{"a list in French, for spreadsheets", "Adresse IP;Marque;Modèle\n'10.0.0.5;Axis;'-M\n10.0.0.6;Axis;'-M\n", []string{"10.0.0.6  list"}, []string{`line 2: "'10.0.0.5" is no address`}, ""},
		{"no text", "a,b\x00c,d\n", nil, nil, "line 1: has a zero byte"},
		{"NetBox, older and newer, with a device of no address", `[{"name":"a","primary_ip4":{"address":"10.0.0.5/24"}},{"name":"b"},{"name":"b"}]`, []string{"10.0.0.5  "}, []string{`line 1: item 2 "b": neither an address`, `line 1: item 3 "b": neither`}, ""},
		{"NetBox, devices", "{\"count\":2,\n\"results\":[{\"name\":\"gate\",\"serial\":\"S1\",\"primary_ip\":{\"address\":\"10.0.0.5/24\"},\"device_type\":{\"model\":\"M\",\"manufacturer\":{\"name\":\"Axis\"}}},\n{\"name\":\"no address\",\"primary_ip\":null}]}", []string{"10.0.0.5  list"}, []string{`line 3: item 2 "no address": neither an address`}, ""},
		{"NetBox, addresses", `[{"address":"2001:db8::5/64","dns_name":"gate"}]`, []string{"2001:db8::5  "}, nil, ""},
		{"NetBox, nothing", `{"detail":"no"}`, nil, nil, "no list"},
		{"Linux, arp -an", "? (10.0.0.5) at 44:19:b6:00:00:01 [ether] on eth0\n? (10.0.0.6) at <incomplete> on eth0\nnonsense\n", []string{"10.0.0.5 44:19:b6:00:00:01 mac"}, []string{"line 3: no address"}, ""},
		{"ip neigh", "10.0.0.5 dev eth0 lladdr 44:19:b6:00:00:01 REACHABLE\nfe80::1 dev eth0 lladdr 44:19:b6:00:00:02 STALE\n10.0.0.9 dev eth0 FAILED\n", []string{"10.0.0.5 44:19:b6:00:00:01 mac", "fe80::1 44:19:b6:00:00:02 mac"}, nil, ""},
		{"Cisco", "Protocol  Address          Age (min)  Hardware Addr   Type   Interface\nInternet  10.0.0.5                3   4419.b600.0001  ARPA   Vlan10\n", []string{"10.0.0.5 44:19:b6:00:00:01 mac"}, nil, ""},
		{"Windows", "\r\nInterface: 10.0.0.2 --- 0x4\r\n  Internet Address      Physical Address      Type\r\n  10.0.0.5              44-19-b6-00-00-01     dynamic\r\n  224.0.0.22            01-00-5e-00-00-16     static\r\n", []string{"10.0.0.5 44:19:b6:00:00:01 mac"}, nil, ""},
		{"macOS", "? (10.0.0.5) at 44:19:b6:0:0:1 on en0 ifscope [ethernet]\n", []string{"10.0.0.5 44:19:b6:00:00:01 mac"}, nil, ""},
		{"prose", "hello\n", nil, nil, "want nmap's XML"},
		{"nothing", "", nil, nil, "want nmap's XML"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var found, bad []string
			err := Import(strings.NewReader(tt.text), "x", time.Time{}, func(f Found) {
				var kinds []string
				for _, e := range f.Evidence {
					kinds = append(kinds, e.Kind)
				}
				found = append(found, f.Address.String()+" "+strings.Join(f.MACs, "+")+" "+strings.Join(kinds, " "))
			}, func(e RowError) { bad = append(bad, e.Error()) })
			if strings.Join(found, "\n") != strings.Join(tt.found, "\n") {
				t.Errorf("found %q, want %q", found, tt.found)
			}
			if len(bad) != len(tt.bad) {
				t.Fatalf("bad %q, want %q", bad, tt.bad)
			}
			for i := range bad {
				if !strings.HasPrefix(bad[i], tt.bad[i]) {
					t.Errorf("bad %q, want %q", bad[i], tt.bad[i])
				}
			}
			if hint, ok := errors.AsType[interface {
				error
				Hint() string
			}](err); tt.err != "" && (!ok || hint.Hint() == "") {
				t.Errorf("error %v without a way out", err)
			}
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

func FuzzImport(f *testing.F) {
	f.Add([]byte(nmapSample))
	f.Add([]byte("ip;brand\r\n10.0.0.5;Axis\r\n"))
	f.Add([]byte(`[{"address":"2001:db8::5/64"}]`))
	f.Add([]byte("? (10.0.0.5) at 44:19:b6:00:00:01 [ether] on eth0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = Import(strings.NewReader(string(b)), "x", time.Time{}, func(f Found) {
			if !f.Address.IsValid() && len(f.MACs) == 0 {
				t.Error("a device without any address")
			}
		}, func(RowError) {})
	})
}
