package live

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// iceLog hands the WebRTC library's log to ours, one step quieter: what it
// warns of (a viewer that went away, a packet from nowhere) is everyday here.
func iceLog(log *slog.Logger) logging.LoggerFactory { return loggerFactory{log} }

type loggerFactory struct{ log *slog.Logger }

func (f loggerFactory) NewLogger(scope string) logging.LeveledLogger {
	return leveled{f.log.With("part", scope)}
}

type leveled struct{ log *slog.Logger }

// say formats only what is going to be read.
func (l leveled) say(level slog.Level, format string, args ...any) {
	if ctx := context.Background(); l.log.Enabled(ctx, level) {
		l.log.Log(ctx, level, "webrtc: "+fmt.Sprintf(format, args...))
	}
}

const levelTrace = slog.LevelDebug - 4

func (l leveled) Trace(msg string)          { l.say(levelTrace, "%s", msg) }
func (l leveled) Tracef(f string, a ...any) { l.say(levelTrace, f, a...) }
func (l leveled) Debug(msg string)          { l.say(levelTrace, "%s", msg) }
func (l leveled) Debugf(f string, a ...any) { l.say(levelTrace, f, a...) }
func (l leveled) Info(msg string)           { l.say(slog.LevelDebug, "%s", msg) }
func (l leveled) Infof(f string, a ...any)  { l.say(slog.LevelDebug, f, a...) }
func (l leveled) Warn(msg string)           { l.say(slog.LevelDebug, "%s", msg) }
func (l leveled) Warnf(f string, a ...any)  { l.say(slog.LevelDebug, f, a...) }
func (l leveled) Error(msg string)          { l.say(slog.LevelWarn, "%s", msg) }
func (l leveled) Errorf(f string, a ...any) { l.say(slog.LevelWarn, f, a...) }
