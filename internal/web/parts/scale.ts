// The arithmetic of a timeline: which stretch is seen, where a time lies, where the ticks go.

export const minSpan = 60_000;
export const maxSpan = 31 * 86_400_000;

export interface View {
  from: number;
  to: number;
}

const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800].map((s) => s * 1000);

/** The smallest step whose ticks are at least `px` apart. */
export function tickStep(view: View, width: number, px: number): number {
  const per = (view.to - view.from) / Math.max(1, width);
  return steps.find((s) => s / per >= px) ?? steps.at(-1)!;
}

/** Ticks on round local times. */
export function ticks(view: View, step: number): number[] {
  const list: number[] = [];
  const offset = (t: number) => new Date(t).getTimezoneOffset() * 60_000;
  for (let t = Math.floor((view.from - offset(view.from)) / step) * step + offset(view.from); t <= view.to && list.length < 400; t += step) {
    // Where summer time begins or ends, the next tick is moved onto the round hour.
    const round = step >= 3_600_000 ? Math.round((t - offset(t)) / step) * step + offset(t) : t;
    if (round >= view.from) list.push(round);
  }
  return list;
}

export const toX = (view: View, width: number, t: number): number => ((t - view.from) / (view.to - view.from)) * width;
export const toTime = (view: View, width: number, x: number): number => view.from + (x / Math.max(1, width)) * (view.to - view.from);

/** Zooms by a factor around a time that stays where it is. */
export function zoom(view: View, factor: number, around: number): View {
  const old = view.to - view.from;
  const span = Math.min(maxSpan, Math.max(minSpan, old * factor));
  const share = (around - view.from) / old;
  const from = around - share * span;
  return { from, to: from + span };
}

export function pan(view: View, by: number): View {
  return { from: view.from + by, to: view.to + by };
}

/** Keeps a view where there is something to see: it always shows a part of [first, last]. */
export function clamp(view: View, first: number, last: number): View {
  const span = view.to - view.from;
  const edge = span * 0.1;
  if (view.from > last - edge) return { from: last - edge, to: last - edge + span };
  if (view.to < first + edge) return { from: first + edge - span, to: first + edge };
  return view;
}
