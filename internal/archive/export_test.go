package archive

import "context"

// What the tests outside the package reach for.

func (a *Archive) SetIndexFault(f func(op string, done bool) error) { a.x.fault = f }

func (a *Archive) Keep(ctx context.Context)  { a.keep(ctx) }
func (a *Archive) Tidy(ctx context.Context)  { a.tidy(ctx) }
func (a *Archive) SyncAll()                  { a.syncAll() }
func (a *Archive) Retry(ctx context.Context) { a.retry(ctx) }
func (a *Archive) Look()                     { a.look() }

func ParseAny(rel string) (name string, err error) {
	n, err := parseName(rel)
	if err != nil {
		return "", err
	}
	return n.name(), nil
}

func (a *Archive) NoteAll(ctx context.Context) error { return a.noteAll(ctx) }
