// <watch-player camera name stream>: one camera, live and everything that was
// recorded of it. Recordings are opened here, in the browser, with an identity
// that the server never sees.
//
// Marks for benchmarks: "watch:seek" when the hand moved, "watch:frame" when
// the first frame of that place was on the screen, and the measure
// "watch:seek-to-frame" between them.

import * as api from "./api";
import type { FailureCode } from "./bridge";
import { Catalogue } from "./catalogue";
import { h, iconButton, relabel, say, show } from "./element";
import { keyring } from "./keyring";
import { type LiveState, LiveView } from "./live";
import { Playback } from "./playback";
import { coded, dateTime, span, t, utc, zone } from "./text";
import type { SeekDetail, WatchTimeline } from "./timeline";

const rates = [0.25, 0.5, 1, 2, 4, 8, 16];
const shuttle = [-16, -8, -4, -2, -1, 1, 2, 4, 8, 16];

/** A seek that no frame has answered yet. */
interface Awaited {
  time: number;
  exact: boolean;
}

export class WatchPlayer extends HTMLElement {
  #mode: "live" | "playback" = "live";
  #live: LiveView | null = null;
  #playback: Playback | null = null;
  #stream = "main";
  #awaited: Awaited | null = null;
  #pending: SeekDetail | null = null;
  #wall = 0;
  /** Milliseconds from frame to frame, as seen. */
  #interval = 500;
  #noticeTimer = 0;
  #scrubFrame = 0;
  #scrubTo: SeekDetail | null = null;
  #playing = true;
  #unhear: (() => void)[] = [];
  #hoverTimer = 0;
  #second = 0;
  #liveState: LiveState | null = null;

  readonly #video = h("video", { class: "ww-picture", playsinline: true, hidden: true });
  readonly #stage = h("div", { class: "ww-stage" });
  readonly #chip = h("span", { class: "ww-chip" });
  readonly #why = h("span", { class: "ww-why", hidden: true });
  readonly #notice = h("p", { class: "ww-notice", role: "status", hidden: true });
  readonly #spinner = h("div", { class: "ww-spinner", hidden: true, "aria-hidden": "true" });
  readonly #panel = h("div", { class: "ww-panel", hidden: true });
  readonly #time = h("time", { class: "ww-time" });
  readonly #utc = h("span", { class: "ww-utc" });
  readonly #timeline = document.createElement("watch-timeline") as WatchTimeline;
  readonly #rate = h("select", { class: "ww-select" });
  #playButton!: HTMLButtonElement;
  #muteButton!: HTMLButtonElement;
  #liveButton!: HTMLButtonElement;

  get camera(): string {
    return this.getAttribute("camera") ?? "";
  }

  get mode(): "live" | "playback" {
    return this.#mode;
  }

  /** The time of the picture that is shown. */
  get wall(): number {
    return this.#mode === "live" ? this.#timeline.now : this.#wall;
  }

  connectedCallback(): void {
    this.#stream = this.getAttribute("stream") ?? "main";
    this.#video.muted = true;
    this.#timeline.setAttribute("camera", this.camera);
    this.#timeline.setAttribute("stream", this.#stream);
    this.#live = new LiveView(this.camera, this.#stream, (s) => this.#told(s));
    this.#build();
    this.tabIndex = -1;
    this.addEventListener("keydown", (e) => this.#key(e));
    this.#timeline.addEventListener("seek", (e) => this.#asked((e as CustomEvent<SeekDetail>).detail));
    this.#timeline.addEventListener("hovertime", (e) => this.#hover((e as CustomEvent<number>).detail));
    keyring.addEventListener("change", this.#keysChanged);
    keyring.addEventListener("change", () => void this.#warm(), { once: true });
    document.addEventListener("visibilitychange", this.#visibility);
    this.#unhear.push(api.on("segment", (s) => s.camera === this.camera && this.#playback?.catalogue.touch()));
    this.#second = window.setInterval(() => this.#words(), 500);
    this.goLive();
    this.#timeline.addEventListener("loaded", () => void this.#warm(), { once: true });
  }

  /** The first click should not have to wait for the worker, the day's key and the code to get hot. */
  async #warm(): Promise<void> {
    await keyring.ready();
    const end = this.#timeline.recordedEnd;
    if (keyring.unlocked && end > 0 && this.isConnected) await (this.#playback ?? this.#open()).prefetch(end - 90_000);
  }

  disconnectedCallback(): void {
    this.#live?.stop();
    this.#playback?.close();
    this.#playback = null;
    this.#unhear.forEach((f) => f());
    this.#unhear = [];
    clearInterval(this.#second);
    keyring.removeEventListener("change", this.#keysChanged);
    document.removeEventListener("visibilitychange", this.#visibility);
  }

  #build(): void {
    this.#playButton = iconButton("pause", t("player.pause"), () => this.toggle());
    this.#muteButton = iconButton("mute", t("player.unmute"), () => this.#mute());
    this.#liveButton = h("button", { type: "button", class: "ww-button ww-live-button", onclick: () => this.goLive() }, t("player.golive"));
    this.#rate.setAttribute("aria-label", t("player.speed"));
    for (const r of rates) this.#rate.append(h("option", { value: r, selected: r === 1 }, `${r}×`));
    this.#rate.onchange = () => this.setRate(Number(this.#rate.value));
    this.#stage.replaceChildren(
      this.#live!.video,
      this.#live!.canvas,
      this.#video,
      this.#spinner,
      this.#panel,
      this.#notice,
      h("div", { class: "ww-caption" }, h("span", { class: "ww-name" }, this.getAttribute("name") || this.camera), this.#why, this.#chip),
    );
    this.#stage.onclick = (e) => {
      // A handler that returns false would undo the click, on the key form's button too.
      if (!this.#panel.contains(e.target as Node)) this.toggle();
    };
    this.replaceChildren(
      this.#stage,
      h(
        "div",
        { class: "ww-controls", role: "group", "aria-label": t("player.controls") },
        iconButton("back", t("player.stepback"), () => void this.step(-1)),
        this.#playButton,
        iconButton("forward", t("player.step"), () => void this.step(1)),
        this.#rate,
        h("span", { class: "ww-clock" }, this.#time, this.#utc),
        this.#liveButton,
        h("watch-identity" as "div", { mode: "button" }),
        this.#muteButton,
        iconButton("full", t("player.fullscreen"), () => this.fullscreen()),
      ),
      this.#timeline,
    );
  }

  // --- live and playback ---

  goLive(): void {
    this.#mode = "live";
    this.dataset.mode = "live";
    this.#awaited = this.#pending = null;
    this.#playing = true;
    this.setRate(1);
    this.#video.pause();
    show(this.#video, false);
    show(this.#panel, false);
    show(this.#spinner, false);
    this.#live?.start();
    this.#timeline.cursor = null;
    this.#showLive(true);
    this.#words();
  }

  #showLive(yes: boolean): void {
    for (const e of [this.#live?.video, this.#live?.canvas]) e?.classList.toggle("ww-away", !yes);
  }

  /** Shows what was recorded at a time. */
  seek(time: number, scrubbing = false, stamp = performance.now()): void {
    this.#asked({ time, scrubbing, stamp });
    this.#timeline.cursor = time;
  }

  #asked(d: SeekDetail): void {
    if (d.scrubbing) {
      // As many pictures as the screen shows, not as many as the mouse tells.
      this.#scrubTo = d;
      this.#scrubFrame ||= requestAnimationFrame(() => {
        this.#scrubFrame = 0;
        if (this.#scrubTo) void this.#go(this.#scrubTo);
      });
      return;
    }
    this.#scrubTo = null;
    performance.mark("watch:seek", { startTime: d.stamp, detail: { time: d.time } });
    void this.#go(d);
  }

  async #go(d: SeekDetail): Promise<void> {
    if (this.#mode === "live") this.#enterPlayback();
    this.#pending = d;
    await keyring.ready();
    if (this.#pending !== d) return;
    if (!keyring.unlocked) return this.#locked();
    const p = this.#playback ?? this.#open();
    show(this.#panel, false);
    this.#awaited = { time: d.time, exact: !d.scrubbing };
    if (p.stepping) this.setRate(1);
    if (d.scrubbing) this.#video.pause();
    else if (this.#playing) this.#video.play().catch(() => undefined);
    await p.seek(d.time, d.scrubbing);
  }

  #enterPlayback(): void {
    this.#mode = "playback";
    this.dataset.mode = "playback";
    this.#live?.stop();
    this.#showLive(false);
    show(this.#video, true);
    this.#wall = this.#timeline.now;
    this.#words();
  }

  #open(): Playback {
    const now = () => this.#timeline.now;
    const first = this.#timeline.data?.first || now() - 40 * 86_400_000;
    const origin = Math.floor(first / 86_400_000) * 86_400_000 - 86_400_000;
    const p = new Playback(this.#video, new Catalogue(this.camera, this.#stream, now), origin, {
      frame: (wall) => this.#frame(wall),
      skipped: (from, to) => this.#skipped(from, to),
      waiting: (yes) => show(this.#spinner, yes && this.#mode === "playback"),
      ended: () => this.#ended(),
      failed: (code, detail) => void this.#failed(code, detail),
      codecs: (missing) => missing.length > 0 && this.#notice.hidden && this.#tell(t("player.nosound")),
    });
    this.#playback = p;
    return p;
  }

  #frame(wall: number): void {
    if (this.#mode !== "playback") return;
    const apart = wall - this.#wall;
    if (!this.#awaited && apart > 0 && apart < 1100) this.#interval = this.#interval * 0.8 + apart * 0.2;
    this.#wall = wall;
    show(this.#spinner, false);
    const a = this.#awaited;
    // The frame that covers the time, or the first one after it that a busy browser showed.
    if (a?.exact && wall <= a.time + 1500 && wall > a.time - Math.max(60, this.#interval * 2)) {
      this.#awaited = null;
      performance.mark("watch:frame", { detail: { time: a.time, wall } });
      performance.measure("watch:seek-to-frame", { start: "watch:seek", end: "watch:frame", detail: { time: a.time, wall } });
    }
    if (!this.#awaited || !this.#scrubTo) this.#follow(wall);
    this.#words();
  }

  #follow(wall: number): void {
    if (!this.#scrubTo) this.#timeline.cursor = this.#awaited ? this.#awaited.time : wall;
  }

  #skipped(from: number, to: number): void {
    if (this.#awaited) this.#awaited = { ...this.#awaited, time: to };
    const gap = this.#timeline.data?.gaps.find((g) => g.end > from && g.start < to);
    const reason = gap ? coded("reason", gap.reason) : t("timeline.nothing");
    this.#tell(t("player.skipped", { span: span(to - from), reason }));
  }

  #ended(): void {
    if (this.#mode !== "playback") return;
    show(this.#spinner, false);
    this.#tell(t("player.end"));
    this.#pause();
  }

  async #failed(code: FailureCode, detail: string): Promise<void> {
    show(this.#spinner, false);
    if (code === "locked") return this.#locked();
    if (code === "no-codec" && (await this.#otherStream())) return;
    const key = code === "wrong-key" || code === "no-day-key" || code === "no-codec" ? code : code === "damaged" || code === "gone" || code === "network" ? code : "internal";
    const words = h("div", { class: "ww-message", role: "alert" }, h("strong", {}, t(`failure.${key}`)), h("p", {}, t(`failure.${key}.hint`)));
    if (code === "wrong-key") words.append(h("button", { type: "button", class: "ww-button ww-primary", onclick: () => this.#locked() }, t("identity.other")));
    else words.append(h("button", { type: "button", class: "ww-button", onclick: () => this.#again() }, t("player.again")));
    words.dataset.code = code;
    words.title = detail;
    this.#panel.replaceChildren(words);
    show(this.#panel, true);
  }

  #again(): void {
    if (this.#pending) void this.#go({ ...this.#pending, scrubbing: false, stamp: performance.now() });
  }

  /** What the browser cannot decode of one stream it may decode of the other. */
  async #otherStream(): Promise<boolean> {
    const wanted = this.getAttribute("stream") ?? "main";
    if (this.#stream !== wanted) return false;
    const list = await api.cameras().catch(() => []);
    const other = list.find((c) => c.id === this.camera)?.streams.find((s) => s.name !== this.#stream);
    if (!other) return false;
    this.#stream = other.name;
    this.#playback?.close();
    this.#playback = null;
    this.#timeline.setAttribute("stream", other.name);
    void this.#timeline.load();
    this.#tell(t("player.substream", { stream: coded("stream", other.name) }), 12_000);
    this.dataset.stream = other.name;
    this.#again();
    return true;
  }

  // --- the key ---

  #locked(): void {
    show(this.#spinner, false);
    this.#panel.replaceChildren(h("watch-identity" as "div", { mode: "unlock" }));
    show(this.#panel, true);
  }

  readonly #keysChanged = (): void => {
    if (this.#mode !== "playback") return;
    if (keyring.unlocked) {
      this.#playback?.close();
      this.#playback = null;
      this.#again();
    } else {
      // Locked: nothing that was opened stays on the screen.
      this.#playback?.close();
      this.#playback = null;
      this.#locked();
    }
  };

  readonly #visibility = (): void => {
    if (this.#mode !== "live") return;
    if (document.hidden) this.#live?.stop();
    else this.#live?.start();
  };

  #hover(time: number): void {
    clearTimeout(this.#hoverTimer);
    this.#hoverTimer = window.setTimeout(() => {
      if (!keyring.unlocked) return;
      void (this.#playback ?? this.#open()).prefetch(time);
    }, 40);
  }

  // --- controls ---

  get paused(): boolean {
    return !this.#playing;
  }

  toggle(): void {
    if (this.#mode === "live") {
      this.#playing = false;
      this.seek(this.#timeline.now - 3000);
      return;
    }
    if (this.#playing) this.#pause();
    else this.#play();
  }

  #play(): void {
    this.#playing = true;
    this.#video.play().catch(() => undefined);
    this.#words();
  }

  #pause(): void {
    this.#playing = false;
    if (this.#playback?.stepping) this.setRate(1);
    this.#video.pause();
    this.#words();
  }

  setRate(rate: number): void {
    const p = this.#playback;
    const was = p?.stepping ?? false;
    p?.setRate(rate);
    this.#rate.value = String(Math.abs(rate));
    if (rate !== 1 || was) this.dataset.rate = String(rate);
    if (p && was && !p.stepping && this.#mode === "playback") {
      void p.seek(this.#wall);
      if (this.#playing) this.#play();
    }
    if (p?.stepping) {
      this.#playing = true;
      this.#awaited = null;
    }
    this.#words();
  }

  async step(by: 1 | -1): Promise<void> {
    if (this.#mode === "live") {
      this.toggle();
      return;
    }
    this.#pause();
    this.#awaited = null;
    await this.#playback?.step(by);
  }

  /** J and L: faster backwards, faster forwards. */
  #shuttle(by: 1 | -1): void {
    if (this.#mode === "live") {
      if (by < 0) this.seek(this.#timeline.now - 10_000);
      return;
    }
    const now = this.#playing ? (this.#playback?.rate ?? 1) : 0;
    const next = by > 0 ? shuttle.find((r) => r > now) : shuttle.findLast((r) => r < now);
    if (next === undefined) return;
    if (next > 0 && !this.#playing) this.#play();
    this.setRate(next);
    if (next > 0) this.#play();
  }

  #mute(): void {
    const muted = !this.#video.muted;
    this.#video.muted = muted;
    if (this.#live) this.#live.video.muted = muted;
    relabel(this.#muteButton, muted ? "mute" : "sound", t(muted ? "player.unmute" : "player.mute"));
  }

  fullscreen(): void {
    if (document.fullscreenElement) void document.exitFullscreen();
    else this.requestFullscreen().catch(() => undefined);
  }

  #key(e: KeyboardEvent): void {
    const target = e.target as HTMLElement;
    if (e.altKey || e.ctrlKey || e.metaKey || target.closest("input, textarea, select, dialog")) return;
    if (e.key === " " && target.closest("button, a")) return;
    const at = this.#mode === "live" ? this.#timeline.now : this.#wall;
    const keys: Record<string, () => void> = {
      " ": () => this.toggle(),
      k: () => this.toggle(),
      j: () => this.#shuttle(-1),
      l: () => this.#shuttle(1),
      ".": () => void this.step(1),
      ",": () => void this.step(-1),
      m: () => this.#mute(),
      f: () => this.fullscreen(),
      g: () => this.goLive(),
      ArrowLeft: () => this.seek(at - 5000, false, e.timeStamp),
      ArrowRight: () => this.seek(at + 5000, false, e.timeStamp),
    };
    const act = keys[e.key.length === 1 ? e.key.toLowerCase() : e.key];
    if (!act) return;
    e.preventDefault();
    act();
  }

  // --- words ---

  #told(s: LiveState): void {
    this.#liveState = s;
    if (this.#mode !== "live") return;
    show(this.#spinner, s.phase === "connecting");
    this.dataset.way = s.way;
    this.#words();
  }

  #tell(text: string, ms = 6000): void {
    say(this.#notice, text);
    show(this.#notice, true);
    clearTimeout(this.#noticeTimer);
    this.#noticeTimer = window.setTimeout(() => show(this.#notice, false), ms);
  }

  #words(): void {
    const live = this.#mode === "live";
    const s = this.#liveState;
    const wall = this.wall;
    const rate = this.#playback?.rate ?? 1;
    say(this.#time, `${dateTime(wall)} ${zone(wall)}`);
    this.#time.dateTime = new Date(wall).toISOString();
    say(this.#utc, utc(wall));
    say(this.#chip, live ? (s?.phase === "playing" ? t(`way.${s.way}`) : s?.phase === "offline" ? t("tile.offline") : t("tile.connecting")) : rate === 1 ? t("player.recorded") : `${t("player.recorded")} ${rate}×`);
    const why = live && s?.why && s.why !== "pictures" ? coded("why", s.why) : "";
    say(this.#why, why);
    show(this.#why, why !== "");
    this.#liveButton.toggleAttribute("disabled", live);
    say(this.#liveButton, t(live ? "player.live" : "player.golive"));
    const playing = live || this.#playing;
    relabel(this.#playButton, playing ? "pause" : "play", t(playing ? "player.pause" : "player.play"));
  }
}

