// <watch-timeline camera stream>: what is recorded and what is not, from a
// minute to a month. A slider for keyboard and screen reader, a strip to
// click, drag and pinch for everybody else. Tells its wishes as "seek" events.

import * as api from "./api";
import { h, iconButton, say, show } from "./element";
import { Painter } from "./paint";
import { clamp, maxSpan, minSpan, pan, tickStep, toTime, toX, type View, zoom } from "./scale";
import { clock, coded, dateTime, dayMonth, span, t } from "./text";

export interface SeekDetail {
  time: number;
  /** The pointer still moves: any picture near is better than the right one late. */
  scrubbing: boolean;
  /** When the hand moved, on the clock of performance.now(). */
  stamp: number;
}

/** Height of the ruler under the strip, in CSS pixels: dragging it moves the view. */
export const rulerHeight = 22;
const presets = [
  ["10min", 600_000],
  ["1h", 3_600_000],
  ["6h", 21_600_000],
  ["1d", 86_400_000],
  ["7d", 7 * 86_400_000],
  ["30d", 30 * 86_400_000],
] as const;

export class WatchTimeline extends HTMLElement {
  /** What the server said last. */
  data: api.Timeline | null = null;
  #loaded: View = { from: 0, to: 0 };
  #clockOffset = 0;
  #fetchedAt = 0;
  #view: View = { from: Date.now() - 3_500_000, to: Date.now() + 100_000 };
  #cursor: number | null = null;
  /** The view moves along with the present. */
  #follow = true;
  #hover: number | null = null;
  #loading: AbortController | null = null;
  #timers: number[] = [];
  #unhear: (() => void) | null = null;
  #resize: ResizeObserver | null = null;
  #theme: MutationObserver | null = null;
  #frame = 0;
  #soon = 0;

  readonly #canvas = h("canvas", { class: "ww-strip", "aria-hidden": "true" });
  readonly #slider = h("div", { class: "ww-slider", role: "slider", tabindex: 0, "aria-orientation": "horizontal" }, this.#canvas);
  readonly #tip = h("div", { class: "ww-tip", hidden: true, "aria-hidden": "true" });
  readonly #range = h("span", { class: "ww-range" });
  readonly #paint = new Painter(this.#canvas);

  get camera(): string {
    return this.getAttribute("camera") ?? "";
  }

  get stream(): string {
    return this.getAttribute("stream") ?? "main";
  }

  /** The server's clock. */
  get now(): number {
    return Date.now() + this.#clockOffset;
  }

  /** Where playback stands; null follows the present. */
  get cursor(): number | null {
    return this.#cursor;
  }

  set cursor(time: number | null) {
    const shown = (t: number | null): boolean => t === null || (t >= this.#view.from && t <= this.#view.to);
    // Whoever looks elsewhere while it plays is not pulled back.
    const followed = shown(this.#cursor);
    this.#cursor = time;
    if (time !== null && followed && !shown(time) && !this.#dragging && !this.#panning) {
      const half = (this.#view.to - this.#view.from) / 2;
      this.view = { from: time - half, to: time + half };
    }
    if (time === null) this.#follow = true;
    this.#announce();
    this.redraw();
  }

  get view(): View {
    return this.#view;
  }

  set view(v: View) {
    this.#view = this.data ? clamp(v, this.data.first || this.now, this.now) : v;
    this.redraw();
    this.#loadSoon();
    this.dispatchEvent(new CustomEvent("viewchange"));
  }

  /** End of what is recorded, growing while the recorder writes. */
  get recordedEnd(): number {
    const d = this.data;
    if (!d) return 0;
    if (!d.open) return d.last;
    return Math.max(d.last, Math.min(this.now, d.open.end + Math.min(15_000, performance.now() - this.#fetchedAt)));
  }

  connectedCallback(): void {
    this.#slider.setAttribute("aria-label", t("timeline.label"));
    this.replaceChildren(this.#toolbar(), h("div", { class: "ww-strip-box" }, this.#slider, this.#tip));
    this.#listen();
    this.#resize = new ResizeObserver(() => this.redraw());
    this.#resize.observe(this.#slider);
    this.#unhear = api.on("segment", (s) => s.camera === this.camera && s.stream === this.stream && void this.load());
    this.#timers = [window.setInterval(() => this.#second(), 1000), window.setInterval(() => !document.hidden && void this.load(), 10_000)];
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", this.redraw);
    this.#theme = new MutationObserver(this.redraw);
    this.#theme.observe(document.documentElement, { attributes: true });
    void this.load();
  }

  disconnectedCallback(): void {
    this.#resize?.disconnect();
    this.#unhear?.();
    this.#timers.forEach(clearInterval);
    this.#loading?.abort();
    this.#theme?.disconnect();
    matchMedia("(prefers-color-scheme: dark)").removeEventListener("change", this.redraw);
  }

  /** Asks for what the view shows, and as much again on both sides. */
  async load(): Promise<void> {
    this.#loading?.abort();
    const control = (this.#loading = new AbortController());
    const width = this.#view.to - this.#view.from;
    const want = { from: this.#view.from - width, to: this.#view.to + width };
    try {
      const d = await api.timeline(this.camera, this.stream, want.from, want.to, control.signal);
      const first = !this.data;
      // In a camera's first minute there is nothing but what is being written.
      if (d.open) d.first ||= d.open.start;
      this.data = d;
      this.#loaded = want;
      this.#clockOffset = d.now - Date.now();
      this.#fetchedAt = performance.now();
      if (first) this.#firstView(d);
      this.#announce();
      this.redraw();
      this.dispatchEvent(new CustomEvent("loaded"));
    } catch {
      // asked again on the next change, or in ten seconds
    }
  }

  /** A camera added ten minutes ago fills the strip; an old one shows its last hour. */
  #firstView(d: api.Timeline): void {
    const age = d.first ? d.now - d.first : 0;
    const width = Math.min(3_600_000, Math.max(300_000, age * 1.2));
    this.view = { from: d.now - width * 0.95, to: d.now + width * 0.05 };
  }

  #loadSoon(): void {
    const v = this.#view;
    const wide = this.#loaded.to - this.#loaded.from > 12 * (v.to - v.from);
    if (v.from >= this.#loaded.from && v.to <= this.#loaded.to && !wide) return;
    clearTimeout(this.#soon);
    this.#soon = window.setTimeout(() => void this.load(), 80);
  }

  #second(): void {
    const width = this.#view.to - this.#view.from;
    if (this.#follow && this.#cursor === null && !this.#dragging && !this.#panning) {
      const to = this.now + width * 0.05;
      if (Math.abs(to - this.#view.to) > width / 2000) this.#view = { from: to - width, to };
      this.#loadSoon();
    }
    if (!document.hidden) this.redraw();
  }

  /** What lies at a time, in words. */
  describe(time: number): string {
    const d = this.data;
    if (!d) return "";
    if (time > this.now) return t("timeline.future");
    const gap = d.gaps.find((g) => time >= g.start && time < g.end);
    if (gap) return t("timeline.gap", { reason: coded("reason", gap.reason), span: span(gap.end - gap.start) });
    if (!d.first || time < d.first || time > this.recordedEnd) return t("timeline.nothing");
    const mark = d.marks.find((m) => time >= m.start && time < m.end);
    return mark ? coded("state", mark.state) : t("timeline.recorded");
  }

  #announce(): void {
    const at = this.#cursor ?? this.now;
    const s = this.#slider;
    s.setAttribute("aria-valuemin", String(Math.round((this.data?.first || this.now) / 1000)));
    s.setAttribute("aria-valuemax", String(Math.round(this.now / 1000)));
    s.setAttribute("aria-valuenow", String(Math.round(at / 1000)));
    const text = this.#cursor === null ? t("timeline.live") : `${dateTime(at)}, ${this.describe(at)}`;
    s.setAttribute("aria-valuetext", text);
  }

  readonly redraw = (): void => {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#paint.draw({
        view: this.#view,
        data: this.data,
        end: this.recordedEnd,
        now: this.now,
        cursor: this.#cursor,
        hover: this.#hover,
      });
      const v = this.#view;
      say(this.#range, v.to - v.from > 86_400_000 ? `${dayMonth(v.from)} – ${dayMonth(v.to)}` : dayMonth((v.from + v.to) / 2));
    });
  };

  #toolbar(): HTMLElement {
    const width = () => this.#view.to - this.#view.from;
    const resize = (w: number) => {
      const middle = this.#cursor ?? this.now - w * 0.45;
      this.#follow = this.#cursor === null;
      this.view = { from: middle - w / 2, to: middle + w / 2 };
    };
    return h(
      "div",
      { class: "ww-timeline-bar", role: "group", "aria-label": t("timeline.span") },
      this.#range,
      ...presets.map(([key, ms]) => h("button", { type: "button", class: "ww-button ww-small", onclick: () => resize(ms) }, t(`timeline.${key}`))),
      iconButton("zoomOut", t("timeline.out"), () => this.#zoom(2, (this.#view.from + this.#view.to) / 2)),
      iconButton("zoomIn", t("timeline.in"), () => this.#zoom(0.5, this.#cursor ?? this.#view.to - width() * 0.05)),
    );
  }

  #zoom(factor: number, around: number): void {
    const width = this.#view.to - this.#view.from;
    if ((factor < 1 && width <= minSpan) || (factor > 1 && width >= maxSpan)) return;
    this.view = zoom(this.#view, factor, around);
  }

  seek(time: number, scrubbing: boolean, stamp = performance.now()): void {
    const first = this.data?.first || this.now;
    const detail: SeekDetail = { time: Math.min(this.now, Math.max(first, time)), scrubbing, stamp };
    this.#follow = false;
    this.cursor = detail.time;
    this.dispatchEvent(new CustomEvent<SeekDetail>("seek", { detail, bubbles: true }));
  }

  // --- hands ---

  #pointers = new Map<number, { x: number; y: number }>();
  #dragging = false;
  #panning = false;
  #pinch = 0;
  #startX = 0;
  #moved = false;

  #listen(): void {
    const s = this.#slider;
    s.onpointerdown = (e) => this.#down(e);
    s.onpointermove = (e) => this.#move(e);
    s.onpointerup = s.onpointercancel = (e) => this.#up(e);
    s.onpointerleave = () => this.#point(null);
    s.onkeydown = (e) => this.#key(e);
    s.addEventListener("wheel", (e) => this.#wheel(e), { passive: false });
  }

  #at(e: MouseEvent): { x: number; y: number; width: number; height: number } {
    const box = this.#slider.getBoundingClientRect();
    return { x: e.clientX - box.left, y: e.clientY - box.top, width: box.width, height: box.height };
  }

  #down(e: PointerEvent): void {
    if (e.button !== 0) return;
    const p = this.#at(e);
    this.#pointers.set(e.pointerId, p);
    this.#slider.setPointerCapture(e.pointerId);
    this.#moved = false;
    this.#startX = p.x;
    if (this.#pointers.size === 2) {
      this.#dragging = false;
      this.#panning = true;
      this.#pinch = this.#spread();
      return;
    }
    this.#panning = p.y > p.height - rulerHeight || e.shiftKey;
    this.#dragging = !this.#panning;
    if (this.#dragging) this.seek(toTime(this.#view, p.width, p.x), false, e.timeStamp);
  }

  #move(e: PointerEvent): void {
    const p = this.#at(e);
    const old = this.#pointers.get(e.pointerId);
    if (!old) {
      this.#point(p.y <= p.height - rulerHeight ? p.x : null);
      return;
    }
    this.#pointers.set(e.pointerId, p);
    if (Math.abs(p.x - this.#startX) > 3) this.#moved = true;
    if (this.#pointers.size === 2) {
      const spread = this.#spread();
      const middle = [...this.#pointers.values()].reduce((a, q) => a + q.x / 2, 0);
      if (this.#pinch > 0 && spread > 0) this.#zoom(this.#pinch / spread, toTime(this.#view, p.width, middle));
      this.#pinch = spread;
    } else if (this.#panning && this.#moved) {
      this.#follow = false;
      this.view = pan(this.#view, ((old.x - p.x) / p.width) * (this.#view.to - this.#view.from));
    } else if (this.#dragging && this.#moved) {
      this.seek(toTime(this.#view, p.width, Math.min(p.width, Math.max(0, p.x))), true, e.timeStamp);
      this.#point(p.x);
    }
  }

  #up(e: PointerEvent): void {
    if (!this.#pointers.delete(e.pointerId)) return;
    const p = this.#at(e);
    if (this.#dragging && this.#moved) this.seek(toTime(this.#view, p.width, Math.min(p.width, Math.max(0, p.x))), false, e.timeStamp);
    if (this.#pointers.size === 0) this.#dragging = this.#panning = false;
  }

  #spread(): number {
    const [a, b] = [...this.#pointers.values()];
    return a && b ? Math.abs(a.x - b.x) : 0;
  }

  #point(x: number | null): void {
    const width = this.#slider.clientWidth;
    this.#hover = x === null ? null : toTime(this.#view, width, x);
    show(this.#tip, x !== null);
    if (x !== null && this.#hover !== null) {
      const time = this.#hover;
      say(this.#tip, `${clock(time)} · ${this.describe(time)}`);
      const half = this.#tip.offsetWidth / 2;
      this.#tip.style.setProperty("left", `${Math.min(width - half, Math.max(half, x))}px`);
      this.dispatchEvent(new CustomEvent("hovertime", { detail: time }));
    }
    this.redraw();
  }

  #wheel(e: WheelEvent): void {
    e.preventDefault();
    const p = this.#at(e);
    this.#follow = false;
    if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) {
      this.view = pan(this.#view, (((e.deltaX || e.deltaY) / 400) * (this.#view.to - this.#view.from)) / 2);
    } else {
      this.#zoom(Math.exp(Math.sign(e.deltaY) * Math.min(0.4, Math.abs(e.deltaY) / 300)), toTime(this.#view, p.width, p.x));
    }
  }

  #key(e: KeyboardEvent): void {
    if (e.altKey || e.ctrlKey || e.metaKey) return;
    const width = this.#view.to - this.#view.from;
    const at = this.#cursor ?? this.now;
    const small = Math.max(1000, tickStep(this.#view, this.#slider.clientWidth, 8));
    const step = e.shiftKey ? small * 10 : small;
    const to = (time: number) => this.seek(time, false, e.timeStamp);
    const keys: Record<string, () => void> = {
      ArrowLeft: () => to(at - step),
      ArrowDown: () => to(at - step),
      ArrowRight: () => to(at + step),
      ArrowUp: () => to(at + step),
      PageUp: () => to(at + width / 5),
      PageDown: () => to(at - width / 5),
      Home: () => to(this.data?.first ?? at),
      End: () => to(this.recordedEnd - 2000),
      "+": () => this.#zoom(0.5, at),
      "=": () => this.#zoom(0.5, at),
      "-": () => this.#zoom(2, at),
    };
    const act = keys[e.key];
    if (!act) return;
    e.preventDefault();
    e.stopPropagation();
    act();
  }

  /** Where a time is drawn, for tests and for what is laid over the strip. */
  xOf(time: number): number {
    return toX(this.#view, this.#slider.clientWidth, time);
  }
}
