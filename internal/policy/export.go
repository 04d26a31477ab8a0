package policy

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// CSV writes the plan as a table, a row a device, in the order of the plan.
func (p Plan) CSV(w io.Writer, t *Texts, lang string, makerName func(string) string) error {
	out := csv.NewWriter(w)
	header := Text{
		EN: "rank,device,name,maker,kind,site,site_class,network,exposure,force,clauses,waived,oldest,due,planned,cost,currency,replacement,candidates,note",
		FR: "rang,appareil,nom,fabricant,genre,site,classe,réseau,exposition,force,clauses,dérogation,depuis,échéance,prévu,coût,monnaie,remplacement,candidats,note",
	}
	if err := out.Write(strings.Split(header.In(lang), ",")); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	for _, i := range p.Items {
		var candidates []string
		for _, m := range i.Replace {
			candidates = append(candidates, makerName(m))
		}
		err := out.Write([]string{
			strconv.Itoa(i.Rank), i.Device, safeCell(i.Name), safeCell(makerName(i.Maker)), t.Word(string(i.Kind), lang), safeCell(i.SiteName),
			t.Word(string(i.Class), lang), t.Word(string(i.Network), lang), t.Word(string(i.Exposure), lang), t.Force(i.Force, lang),
			strings.Join(i.clauses(), "; "), strconv.FormatBool(i.Waived), dateText(i.Oldest), dateText(i.Due), dateText(i.Step.Planned),
			i.Cost.String(), i.Cost.Currency, safeCell(i.Step.Replacement), safeCell(strings.Join(candidates, "; ")), safeCell(i.Step.Note),
		})
		if err != nil {
			return fmt.Errorf("write plan: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return nil
}

func (i PlanItem) clauses() []string {
	var ids []string
	for _, f := range i.Findings {
		ids = append(ids, f.Clause)
	}
	return ids
}

// String is the amount with its decimals: most currencies have two.
func (c Cost) String() string {
	if c.Amount == 0 {
		return ""
	}
	switch c.Currency {
	case "JPY", "KRW", "CLP", "ISK", "VND", "XAF", "XOF", "PYG", "UGX":
		return strconv.FormatInt(c.Amount, 10)
	}
	return fmt.Sprintf("%d.%02d", c.Amount/100, c.Amount%100)
}

func dateText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}

// safeCell keeps what a device or a person wrote from being a formula in
// somebody's spreadsheet.
func safeCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// Calendar writes the plan's days as iCalendar (RFC 5545): an all-day event for
// each item that has one. host makes the events' names unique; made is when.
func (p Plan) Calendar(w io.Writer, t *Texts, lang, host string) error {
	c := &calendar{w: w}
	c.line("BEGIN", "VCALENDAR")
	c.line("VERSION", "2.0")
	c.line("PRODID", "-//Watchward//Plan//EN")
	c.line("CALSCALE", "GREGORIAN")
	c.line("METHOD", "PUBLISH")
	for _, i := range p.Items {
		if i.By.IsZero() {
			continue
		}
		var says []string
		for _, f := range i.Findings {
			says = append(says, fmt.Sprintf("%s: %s, %s", f.Clause, t.Force(f.Force, lang), t.Action(f.Action, lang)))
		}
		c.line("BEGIN", "VEVENT")
		c.line("UID", calendarText(i.Device+"@"+host))
		c.line("DTSTAMP", p.On.UTC().Format("20060102T150405Z"))
		c.line("DTSTART;VALUE=DATE", i.By.Format("20060102"))
		c.line("DTEND;VALUE=DATE", i.By.AddDate(0, 0, 1).Format("20060102"))
		c.line("SUMMARY", calendarText(i.Name+" ("+i.SiteName+"): "+t.Action(i.Findings[0].Action, lang)))
		c.line("LOCATION", calendarText(i.SiteName))
		c.line("DESCRIPTION", calendarText(strings.Join(append(says, i.Step.Note), "\n")))
		c.line("TRANSP", "TRANSPARENT")
		c.line("END", "VEVENT")
	}
	c.line("END", "VCALENDAR")
	if c.err != nil {
		return fmt.Errorf("write calendar: %w", c.err)
	}
	return nil
}

// calendar writes content lines, folded.
type calendar struct {
	w   io.Writer
	err error
}

// maxOctets is the longest line of RFC 5545, section 3.1, without its break.
const maxOctets = 75

func (c *calendar) line(name, value string) {
	if c.err != nil {
		return
	}
	rest := name + ":" + value
	var b strings.Builder
	for room := maxOctets; len(rest) > room; room = maxOctets - 1 { // a space begins what follows
		cut := room
		for cut > 0 && !utf8.RuneStart(rest[cut]) { // never within a character
			cut--
		}
		b.WriteString(rest[:cut] + "\r\n ")
		rest = rest[cut:]
	}
	b.WriteString(rest + "\r\n")
	_, c.err = io.WriteString(c.w, b.String())
}

// calendarText escapes a text as RFC 5545, section 3.3.11, asks, and drops
// what may not be in one.
func calendarText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(strings.TrimSpace(s), ""))
	return strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\n", `\n`).Replace(s)
}
