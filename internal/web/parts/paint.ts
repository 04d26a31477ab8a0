// Draws the timeline's strip. Colours come from the style sheet, so that
// themes, high contrast and forced colours need nothing here.

import type { Timeline } from "./api";
import { ticks, tickStep, toX, type View } from "./scale";
import { clock, dayMonth, hourMinute } from "./text";
import { rulerHeight } from "./timeline";

export interface Scene {
  view: View;
  data: Timeline | null;
  end: number;
  now: number;
  cursor: number | null;
  hover: number | null;
}

type GapKind = "camera" | "recorder" | "disk" | "clock";

export function gapKind(reason: string): GapKind {
  if (reason.startsWith("disk")) return "disk";
  if (reason === "clock-step" || reason === "time-jump") return "clock";
  if (reason === "recorder-stopped" || reason === "stopped" || reason === "no-reader") return "recorder";
  return "camera";
}

interface Colours {
  empty: string;
  recorded: string;
  growing: string;
  line: string;
  text: string;
  cursor: string;
  now: string;
  mark: string;
  gap: Record<GapKind, string>;
  stroke: string;
}

export class Painter {
  #colours: Colours | null = null;
  #theme = "";
  #patterns = new Map<GapKind, CanvasPattern | string>();

  constructor(private readonly canvas: HTMLCanvasElement) {}

  draw(s: Scene): void {
    const c = this.canvas.getContext("2d");
    const box = this.canvas.parentElement;
    if (!c || !box || box.clientWidth === 0) return;
    const ratio = devicePixelRatio || 1;
    const width = box.clientWidth;
    const height = box.clientHeight;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    const colours = this.#read(c);
    c.clearRect(0, 0, width, height);
    const track = height - rulerHeight;
    c.fillStyle = colours.empty;
    c.fillRect(0, 0, width, track);
    if (s.data?.first) this.#recorded(c, colours, s, s.data, width, track);
    this.#ruler(c, colours, s, width, height);
    this.#needles(c, colours, s, width, height);
  }

  #read(c: CanvasRenderingContext2D): Colours {
    const style = getComputedStyle(this.canvas);
    const get = (name: string) => style.getPropertyValue(`--ww-${name}`).trim() || style.color;
    // The theme is told by what it does.
    const theme = ["tl-empty", "tl-recorded", "tl-text"].map(get).join() + style.color + style.colorScheme;
    if (this.#colours && theme === this.#theme) return this.#colours;
    this.#theme = theme;
    this.#colours = {
      empty: this.#resolve(get("tl-empty")),
      recorded: this.#resolve(get("tl-recorded")),
      growing: this.#resolve(get("tl-growing")),
      line: this.#resolve(get("tl-line")),
      text: this.#resolve(get("tl-text")),
      cursor: this.#resolve(get("tl-cursor")),
      now: this.#resolve(get("tl-now")),
      mark: this.#resolve(get("tl-mark")),
      gap: {
        camera: this.#resolve(get("tl-gap-camera")),
        recorder: this.#resolve(get("tl-gap-recorder")),
        disk: this.#resolve(get("tl-gap-disk")),
        clock: this.#resolve(get("tl-gap-clock")),
      },
      stroke: this.#resolve(get("tl-empty")),
    };
    this.#patterns.clear();
    for (const kind of ["camera", "recorder", "disk", "clock"] as const) {
      this.#patterns.set(kind, pattern(c, kind, this.#colours.gap[kind], this.#colours.stroke) ?? this.#colours.gap[kind]);
    }
    return this.#colours;
  }

  /** light-dark() and system colours are resolved by the browser, through an element that has them. */
  #resolve(value: string): string {
    const probe = this.canvas;
    probe.style.setProperty("color", value);
    const colour = getComputedStyle(probe).color;
    probe.style.removeProperty("color");
    return colour;
  }

  #recorded(c: CanvasRenderingContext2D, colours: Colours, s: Scene, d: Timeline, width: number, track: number): void {
    const bar = (from: number, to: number, least: number): [number, number] | null => {
      const a = Math.max(-1, toX(s.view, width, from));
      const b = Math.min(width + 1, toX(s.view, width, to));
      if (b < 0 || a > width || to <= from) return null;
      return [a, Math.max(least, b - a)];
    };
    const fill = (from: number, to: number, style: string | CanvasPattern, y: number, h: number, least = 0) => {
      const x = bar(from, to, least);
      if (!x) return;
      c.fillStyle = style;
      c.fillRect(x[0], y, x[1], h);
    };
    const inset = 6;
    fill(d.first, s.end, colours.recorded, inset, track - 2 * inset, 2);
    if (d.open) fill(Math.max(d.open.start, d.first), s.end, colours.growing, inset, track - 2 * inset);
    for (const g of d.gaps) {
      // First the hole, then its reason: a gap of a second is seen in a month.
      fill(g.start, g.end, colours.empty, 0, track, 1);
      fill(g.start, g.end, this.#patterns.get(gapKind(g.reason)) ?? colours.empty, inset, track - 2 * inset, 1);
    }
    for (const m of d.marks) fill(m.start, m.end, colours.mark, track - inset, inset - 2, 3);
  }

  #ruler(c: CanvasRenderingContext2D, colours: Colours, s: Scene, width: number, height: number): void {
    const track = height - rulerHeight;
    c.font = `11px ${getComputedStyle(this.canvas).fontFamily || "sans-serif"}`;
    c.textBaseline = "middle";
    c.fillStyle = colours.line;
    const fine = tickStep(s.view, width, 9);
    for (const t of ticks(s.view, fine)) c.fillRect(Math.round(toX(s.view, width, t)), track, 1, 4);
    const step = tickStep(s.view, width, 76);
    for (const t of ticks(s.view, step)) {
      const x = Math.round(toX(s.view, width, t));
      c.fillStyle = colours.line;
      c.fillRect(x, track, 1, 8);
      const midnight = new Date(t).getHours() === 0 && new Date(t).getMinutes() === 0 && new Date(t).getSeconds() === 0;
      const label = step >= 86_400_000 || midnight ? dayMonth(t) : step < 60_000 ? clock(t) : hourMinute(t);
      c.fillStyle = colours.text;
      const w = c.measureText(label).width;
      if (x + 4 + w < width) c.fillText(label, x + 4, track + rulerHeight / 2 + 2);
    }
  }

  #needles(c: CanvasRenderingContext2D, colours: Colours, s: Scene, width: number, height: number): void {
    const track = height - rulerHeight;
    const line = (t: number, colour: string, w: number) => {
      const x = toX(s.view, width, t);
      if (x < -8 || x > width + 8) return;
      c.fillStyle = colour;
      c.fillRect(x - w / 2, 0, w, track);
    };
    line(s.now, colours.now, 1.5);
    if (s.hover !== null) line(s.hover, colours.text, 1);
    if (s.cursor === null) return;
    line(s.cursor, colours.cursor, 2.5);
    const x = toX(s.view, width, s.cursor);
    c.fillStyle = colours.cursor;
    c.beginPath();
    c.moveTo(x - 6, 0);
    c.lineTo(x + 6, 0);
    c.lineTo(x, 8);
    c.fill();
  }
}

/** Kinds of gaps differ by pattern too: colour alone tells some people nothing. */
function pattern(c: CanvasRenderingContext2D, kind: GapKind, colour: string, ground: string): CanvasPattern | null {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const p = tile.getContext("2d");
  if (!p) return null;
  p.fillStyle = ground;
  p.fillRect(0, 0, 8, 8);
  p.fillStyle = p.strokeStyle = colour;
  p.lineWidth = 2;
  p.beginPath();
  switch (kind) {
    case "camera": // slanting
      for (const x of [-8, 0, 8]) {
        p.moveTo(x, 8);
        p.lineTo(x + 8, 0);
      }
      p.stroke();
      break;
    case "recorder": // dots
      p.fillRect(1, 1, 3, 3);
      p.fillRect(5, 5, 3, 3);
      break;
    case "disk": // full, with a line
      p.fillRect(0, 0, 8, 8);
      p.fillStyle = ground;
      p.fillRect(0, 3, 8, 1);
      break;
    case "clock": // upright
      p.fillRect(0, 0, 2, 8);
      p.fillRect(4, 0, 2, 8);
  }
  return c.createPattern(tile, "repeat");
}
