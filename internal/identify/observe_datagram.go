package identify

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// Datagrams of makers' discovery protocols. Where one has the shape that only
// that protocol has, the field proto says so; the values in it are read like a
// document's.

// maxStrings bounds the runs of text taken from binary.
const maxStrings = 300

// printable returns the runs of at least three printable ASCII characters, a
// line each.
func printable(value string) string {
	var b strings.Builder
	start, n := -1, 0
	for i := 0; i <= len(value) && n < maxStrings; i++ {
		if i < len(value) && (value[i] >= ' ' && value[i] < 0x7f) {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 && i-start >= 3 {
			b.WriteString(value[start:i])
			b.WriteByte('\n')
			n++
		}
		start = -1
	}
	return b.String()
}

// readStrings reads binary that has no shape known here.
func readStrings(o *observations, value string) {
	for line := range strings.Lines(printable(value)) {
		line = strings.TrimSpace(line)
		o.add("string", line)
		if name, rest, ok := strings.Cut(line, "="); ok {
			document(o, strings.TrimSpace(name), rest)
		}
	}
}

// readSADP reads Hikvision's answer to an inquiry: XML without a namespace.
func readSADP(o *observations, value string) {
	readDocument(o, value)
	address := slices.ContainsFunc(o.list, func(o observation) bool { return o.field == "doc.mac" && textMAC.MatchString(o.value) })
	if address && strings.Contains(value, "<ProbeMatch>") && strings.Contains(value, "<DeviceSN>") {
		o.add("proto", "sadp")
	}
}

// readDHIP reads Dahua's answer: 32 bytes of head with the magic DHIP, then JSON.
func readDHIP(o *observations, value string) {
	i := strings.IndexByte(value, '{')
	if i < 0 {
		return
	}
	if strings.Contains(value[:i], "DHIP") && strings.Contains(value, "notifyDevInfo") {
		o.add("proto", "dhip")
	}
	// Some firmware leaves out a quotation mark after the version.
	readJSON(o, strings.TrimSpace(value[i:]))
	for _, m := range jsonPair.FindAllStringSubmatch(value[i:], maxHeaders) {
		document(o, m[1], m[2])
	}
}

var jsonPair = regexp.MustCompile(`"(SerialNo|Vendor|Version|DeviceType|mac)"\s*:\s*"([^",]*)`)

// readDahua5050 reads Dahua's older answer: 120 bytes of head that begins with
// 0xb3, an address as text, then "Name:…" lines.
func readDahua5050(o *observations, value string) {
	if len(value) >= 120 && value[0] == 0xb3 && strings.Contains(value[32:], ":") {
		o.add("proto", "dahua-5050")
		if m := textMAC.FindString(value[32:]); m != "" {
			readMAC(o, m)
		}
		model, _, _ := strings.Cut(value[40:56], "\x00")
		o.add("doc.devicetype", model)
	}
	for line := range strings.Lines(printable(value)) {
		if name, rest, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && !strings.Contains(name, " ") && len(name) > 2 {
			document(o, name, rest)
		}
	}
}

var textMAC = regexp.MustCompile(`(?i)\b[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}`)

// readHanwha7701 reads Hanwha's answer: 128 bytes or more, the type in the first,
// the address as text at 19, the model at 109.
func readHanwha7701(o *observations, value string) {
	if len(value) >= 0x80 && (value[0] == 0x0b || value[0] == 0x0c) && textMAC.MatchString(value[19:36]) {
		o.add("proto", "hanwha-7701")
		readMAC(o, value[19:36])
		model, _, _ := strings.Cut(value[109:119], "\x00")
		o.add("doc.model", model)
	}
	readStrings(o, value)
}

// readBosch1757 reads the answer of Bosch's devices: XML, or binary that begins
// with their magic.
func readBosch1757(o *observations, value string) {
	if strings.HasPrefix(value, "\x99\x39\xa4\x27") && len(value) >= 32 {
		o.add("proto", "bosch-1757")
		readMAC(o, hex.EncodeToString([]byte(value[12:18])))
		return
	}
	if strings.Contains(value, "<RCPPort>") && strings.Contains(value, "<friendlyName>") {
		o.add("proto", "bosch-1757")
	}
	readDocument(o, value)
}

// readFoscam10000 reads an answer of Foscam's: "MO_I", and texts.
func readFoscam10000(o *observations, value string) {
	if strings.HasPrefix(value, "MO_I") && len(value) >= 36 {
		o.add("proto", "foscam-10000")
	}
	readStrings(o, value)
}

// readSony2380 reads Sony's: "NAME:value" between bytes 0xff.
func readSony2380(o *observations, value string) {
	fields := 0
	for _, part := range strings.SplitN(value, "\xff", maxStrings) {
		name, rest, ok := strings.Cut(strings.Trim(part, "\x02\x03\r\n"), ":")
		if ok && isName(name) {
			fields++
			document(o, name, rest)
		}
	}
	if strings.HasPrefix(value, "\x02") && fields >= 3 && strings.Contains(value, "MODEL:") {
		o.add("proto", "sony-2380")
	}
}

func isName(s string) bool {
	return s != "" && len(s) < 24 && strings.Trim(strings.ToUpper(s), "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
}

// readPanasonic reads Panasonic's: a head that begins 00 01, then numbered fields.
func readPanasonic(o *observations, value string) {
	if len(value) >= 64 && strings.HasPrefix(value, "\x00\x01") {
		o.add("proto", "panasonic")
	}
	readStrings(o, value)
}

// readUbiquiti10001 reads Ubiquiti's: version, command, length, then fields of a
// type, two bytes of length and a value.
func readUbiquiti10001(o *observations, value string) {
	if len(value) < 4 || value[0] != 1 && value[0] != 2 || int(binary.BigEndian.Uint16([]byte(value[2:4]))) != len(value)-4 {
		readStrings(o, value)
		return
	}
	o.add("proto", "ubiquiti-10001")
	for rest := value[4:]; len(rest) >= 3; {
		n := int(binary.BigEndian.Uint16([]byte(rest[1:3])))
		if n > len(rest)-3 {
			return
		}
		v := rest[3 : 3+n]
		switch rest[0] {
		case 0x01, 0x02:
			if n >= 6 {
				readMAC(o, hex.EncodeToString([]byte(v[:6])))
			}
		case 0x03:
			o.add("doc.firmware", v)
		case 0x0b:
			o.add("hostname", v)
		case 0x0c, 0x14, 0x15:
			o.add("doc.model", v)
		}
		rest = rest[3+n:]
	}
}

// readXiongmai34569 reads Xiongmai's: 20 bytes of head that begins with 0xff,
// then JSON.
func readXiongmai34569(o *observations, value string) {
	i := strings.IndexByte(value, '{')
	if i < 0 {
		return
	}
	if value[0] == 0xff && strings.Contains(value, "NetWork.NetCommon") {
		o.add("proto", "xiongmai-34569")
	}
	readJSON(o, value[i:])
}

// readMAC reads an address in any usual spelling, or its first three bytes:
// field mac, in capital digits without separators. An address that software
// made up (the second bit of its first byte) tells nothing.
func readMAC(o *observations, value string) {
	var digits strings.Builder
	for _, r := range strings.ToUpper(strings.TrimSpace(value)) {
		if strings.ContainsRune("0123456789ABCDEF", r) {
			digits.WriteRune(r)
		} else if !strings.ContainsRune(":-. ", r) {
			return
		}
	}
	d := digits.String()
	if len(d) != 12 && len(d) != 6 {
		return
	}
	if first, err := hex.DecodeString(d[:2]); err != nil || first[0]&2 != 0 {
		return
	}
	o.add("mac", d)
}

// readOUIPath reads what an integrator's table says: prefixes, and the address
// of a stream with holes in it.
func readOUIPath(o *observations, value string) {
	var row struct {
		OUI  []string `json:"oui"`
		URL  string   `json:"rtsp_url"`
		Port string   `json:"default_rtsp_port"`
	}
	if err := json.Unmarshal([]byte(value), &row); err != nil {
		readJSON(o, value)
		return
	}
	for i, p := range row.OUI {
		if i < maxHeaders {
			readMAC(o, p)
		}
	}
	readURI(o, row.URL)
	o.add("uri.port", row.Port)
}

// readOID reads a dotted number: field snmp.oid, without a leading dot.
func readOID(o *observations, value string) {
	o.add("snmp.oid", strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(value), "."), "iso."))
}

// readWalk reads the lines of a walk. What stands under a company's number was
// put there by its firmware, so the numbers of names count like sysObjectID.
func readWalk(o *observations, value string) {
	n := 0
	for line := range strings.Lines(value) {
		if n++; n > maxStrings {
			return
		}
		line = strings.TrimSpace(line)
		parts := strings.SplitN(line, "|", 3)
		if len(parts) != 3 {
			name, rest, ok := strings.Cut(line, "=")
			if !ok {
				continue
			}
			_, v, typed := strings.Cut(rest, ":")
			if !typed {
				v = rest
			}
			parts = []string{name, "", strings.Trim(strings.TrimSpace(v), `"`)}
		}
		if strings.HasSuffix(parts[1], "x") {
			if raw, err := hex.DecodeString(parts[2]); err == nil {
				parts[2] = string(raw)
			}
		}
		oid := strings.TrimPrefix(strings.TrimSpace(parts[0]), ".")
		switch {
		case strings.HasPrefix(oid, "1.3.6.1.2.1.1.1"):
			o.add("snmp.descr", parts[2])
		case strings.HasPrefix(oid, "1.3.6.1.2.1.1.2"):
			readOID(o, parts[2])
		case strings.HasPrefix(oid, "1.3.6.1.4.1."):
			readOID(o, oid)
		}
	}
}
