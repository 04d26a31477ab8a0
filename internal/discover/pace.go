package discover

import (
	"context"

	"golang.org/x/time/rate"
)

// pace lets so many packets a second leave for one range. A second's worth may
// leave at once after a pause, so in any second at most twice the rate does.
type pace struct{ limiter *rate.Limiter }

func newPace(perSecond int) *pace {
	return &pace{rate.NewLimiter(rate.Limit(perSecond), perSecond)}
}

// wait returns when one more packet may leave.
func (p *pace) wait(ctx context.Context) error { return p.limiter.Wait(ctx) }
