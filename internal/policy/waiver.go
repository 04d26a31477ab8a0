package policy

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Waiver is a dated exception: a named person answers for a device staying
// where rules ask for something else, until a day. It stays visible ever after.
type Waiver struct {
	ID         string    `json:"id"`
	Device     string    `json:"device"`
	Site       string    `json:"site"`
	Clauses    []string  `json:"clauses"` // IDs
	Reason     string    `json:"reason"`
	Measures   string    `json:"measures"`    // what is done in the meantime
	ApprovedBy string    `json:"approved_by"` // a person's name and office
	MadeBy     string    `json:"made_by"`     // the account that wrote it down
	Until      Date      `json:"until"`       // the last day it holds
	Made       time.Time `json:"made"`
	Rules      string    `json:"rules"` // version of the catalogue it was made under

	Revoked    time.Time `json:"revoked,omitzero"`
	RevokedBy  string    `json:"revoked_by,omitempty"`
	RevokedWhy string    `json:"revoked_why,omitempty"`
	// Altered: the row does not bear its signature. It holds nothing then.
	Altered bool `json:"-"`
}

// MaxWaiver is how long a waiver may hold where no other bound was stated: a
// year, so that somebody looks at it again.
const MaxWaiver = 366 * 24 * time.Hour

// Holds says whether the waiver covers a clause on a day.
func (w Waiver) Holds(clause string, on time.Time) bool {
	return !w.Altered && w.Revoked.IsZero() && slices.Contains(w.Clauses, clause) && !day(on).After(w.Until.Time) && !on.Before(w.Made)
}

// Bounds of what a person writes.
const (
	maxName = 200
	maxText = 4000
)

func (w Waiver) check(now time.Time, longest time.Duration) error {
	switch {
	case w.Device == "" || w.Site == "":
		return invalid("device", "want the device and its site")
	case len(w.Clauses) == 0:
		return invalid("clauses", "want the clauses that it is about")
	case len([]rune(strings.TrimSpace(w.ApprovedBy))) < 3 || len(w.ApprovedBy) > maxName:
		return invalid("approved_by", "want the name of the person who answers for it")
	case strings.TrimSpace(w.Reason) == "" || len(w.Reason) > maxText:
		return invalid("reason", "want a reason, in at most 4000 bytes")
	case len(w.Measures) > maxText:
		return invalid("measures", "want at most 4000 bytes")
	case w.Until.IsZero():
		return invalid("until", "want the last day: a waiver has an end")
	case w.Until.Before(day(now)):
		return invalid("until", "want a day that is not over")
	case w.Until.After(day(now).Add(longest)):
		return invalid("until", fmt.Sprintf("want at most %s", day(now).Add(longest).Format(time.DateOnly)))
	}
	return nil
}

// Invalid says which field of what a person wrote cannot be taken, and what is
// wanted.
type Invalid struct{ Field, Want string }

func (e *Invalid) Error() string { return e.Field + ": " + e.Want }

func invalid(field, want string) error { return &Invalid{field, want} }

// WaiverKey makes the key that waivers are signed with from the server's secret.
func WaiverKey(secret []byte) (ed25519.PrivateKey, error) {
	if len(secret) < 32 {
		return nil, errors.New("make the key of waivers: want a secret of at least 32 bytes")
	}
	seed, err := hkdf.Key(sha256.New, secret, nil, "watchward waiver 1", ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("make the key of waivers: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// canonical is the text that is signed: JSON with the fields in their order,
// under a first line that nothing else is signed with.
func (w Waiver) canonical() (string, error) {
	b, err := json.Marshal(w)
	if err != nil {
		return "", err
	}
	return "watchward waiver 1\n" + string(b), nil
}

// read verifies a row. What was signed is what counts: where other columns say
// something else, somebody has altered them.
func (b *Book) read(r waiverRow) Waiver {
	w := Waiver{ID: r.id, Device: r.device, Site: r.site, Made: moment(r.made)}
	w.Until = Date{moment(r.until), moment(r.until).Format(time.DateOnly)}
	altered := w
	altered.Altered = true
	altered.Revoked, altered.RevokedBy, altered.RevokedWhy = moment(r.revoked), r.revokedBy, r.revokedWhy
	public := b.key.Public().(ed25519.PublicKey)
	if !ed25519.Verify(public, []byte(r.text), r.signature) {
		return altered
	}
	body, ok := strings.CutPrefix(r.text, "watchward waiver 1\n")
	if !ok || json.Unmarshal([]byte(body), &w) != nil {
		return altered
	}
	if w.ID != r.id || w.Device != r.device || w.Site != r.site || micro(w.Until.Time) != r.until || micro(w.Made) != r.made || micro(w.Revoked) != r.revoked || w.RevokedBy != r.revokedBy || w.RevokedWhy != r.revokedWhy {
		w.Altered = true
	}
	return w
}

// Waive signs and stores a waiver, and marks the findings that it covers. The
// clauses it may name are those that ask something of the device there; the
// error is an [Invalid] where a person can mend it.
func (b *Book) Waive(ctx context.Context, w Waiver) (Waiver, error) {
	now := b.now().UTC().Truncate(time.Microsecond)
	w.ID, w.Made, w.Rules = newID(), now, b.Catalogue().Version()
	w.Reason, w.Measures, w.ApprovedBy = strings.TrimSpace(w.Reason), strings.TrimSpace(w.Measures), strings.TrimSpace(w.ApprovedBy)
	w.Revoked, w.RevokedBy, w.RevokedWhy, w.Altered = time.Time{}, "", "", false
	if !w.Until.IsZero() {
		w.Until = NewDate(w.Until.Date())
	}
	if err := w.check(now, b.longest); err != nil {
		return Waiver{}, fmt.Errorf("waive: %w", err)
	}
	for _, id := range w.Clauses {
		if _, ok := b.Catalogue().Clause(id); !ok {
			return Waiver{}, fmt.Errorf("waive: %w", invalid("clauses", fmt.Sprintf("%q is no clause", id)))
		}
	}
	text, err := w.canonical()
	if err != nil {
		return Waiver{}, fmt.Errorf("waive: %w", err)
	}
	err = b.db.Tx(ctx, func(tx *sql.Tx) error {
		if err := insertWaiver(ctx, tx, w, text, ed25519.Sign(b.key, []byte(text))); err != nil {
			return err
		}
		return b.cover(ctx, tx, w, now)
	})
	if err != nil {
		return Waiver{}, fmt.Errorf("waive: %w", err)
	}
	b.tell()
	return w, nil
}

// cover marks the open findings of a waiver.
func (b *Book) cover(ctx context.Context, tx *sql.Tx, w Waiver, now time.Time) error {
	found, err := selectFindings(ctx, tx, `WHERE device = $1 AND site = $2 AND state = $3`, w.Device, w.Site, StateOpen)
	if err != nil {
		return err
	}
	for _, f := range found {
		if !w.Holds(f.Clause, now) {
			continue
		}
		f.State, f.Waiver, f.Changed = StateWaived, w.ID, now
		because := []Reason{{Code: "waiver-made", Args: args("until", w.Until.Text, "by", w.ApprovedBy)}}
		if err := upsertFinding(ctx, tx, f, "waived", w.MadeBy, because); err != nil {
			return err
		}
	}
	return nil
}

// Revoke ends a waiver before its day, saying who and why.
func (b *Book) Revoke(ctx context.Context, id, by, why string) error {
	if strings.TrimSpace(by) == "" || strings.TrimSpace(why) == "" || len(why) > maxText {
		return fmt.Errorf("revoke waiver %q: %w", id, invalid("reason", "want who revokes it and why"))
	}
	now := b.now().UTC().Truncate(time.Microsecond)
	err := b.db.Tx(ctx, func(tx *sql.Tx) error {
		rows, err := selectWaivers(ctx, tx, `WHERE id = $1 AND revoked = 0`, id)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return ErrNotFound
		}
		if err := b.signRevoked(ctx, tx, b.read(rows[0]), now, by, why); err != nil {
			return err
		}
		found, err := selectFindings(ctx, tx, `WHERE waiver = $1 AND state = $2`, id, StateWaived)
		if err != nil {
			return err
		}
		for _, f := range found {
			f.State, f.Waiver, f.Changed = StateOpen, "", now
			if err := upsertFinding(ctx, tx, f, "reopened", by, []Reason{{Code: "waiver-revoked"}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("revoke waiver %q: %w", id, err)
	}
	b.tell()
	return nil
}

// signRevoked signs the waiver anew with its end in it. One that was altered
// before stays altered: its end is written beside it.
func (b *Book) signRevoked(ctx context.Context, tx *sql.Tx, w Waiver, now time.Time, by, why string) error {
	w.Revoked, w.RevokedBy, w.RevokedWhy = now, by, why
	if w.Altered {
		return revokeWaiver(ctx, tx, w, "", []byte{})
	}
	text, err := w.canonical()
	if err != nil {
		return err
	}
	return revokeWaiver(ctx, tx, w, text, ed25519.Sign(b.key, []byte(text)))
}

// Waivers returns all waivers there ever were, the newest first; of one device
// if it is not "".
func (b *Book) Waivers(ctx context.Context, device string) ([]Waiver, error) {
	rows, err := selectWaivers(ctx, pool{b.db}, `WHERE $1 = '' OR device = $1`, device)
	if err != nil {
		return nil, fmt.Errorf("list waivers: %w", err)
	}
	all := make([]Waiver, len(rows))
	for i, r := range rows {
		all[i] = b.read(r)
	}
	return all, nil
}

func newID() string {
	var b [12]byte
	rand.Read(b[:]) // never fails, says crypto/rand
	return hex.EncodeToString(b[:])
}
