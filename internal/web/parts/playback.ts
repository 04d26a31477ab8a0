// Plays recorded segments through Media Source Extensions. The media timeline
// is the wall clock: second 0 is `origin`, and each segment is laid at its own
// start, so a time on the clock and a time in the video differ by a constant.

import type { Catalogue } from "./catalogue";
import { Failure, type FailureCode, type Keyframe, type SegmentIndex, type SegmentRef, type Track } from "./bridge";
import { hideTracks } from "./boxes";
import { ask, stream } from "./client";
import { wait } from "./element";

/** Seconds kept ready before the playing position, times the speed. */
const ahead = 12;
/** Seconds kept behind it, for small steps back. */
const behind = 30;
/** Milliseconds of video asked for at once. */
const stride = 4000;
/** Segments laid end to end may miss each other by the jitter of their starts. */
const seam = 0.6;

export interface PlaybackEvents {
  /** A frame is on the screen: its time on the wall clock. */
  frame(wall: number): void;
  /** Nothing is recorded between two times: playback goes on at the second. */
  skipped(from: number, to: number): void;
  waiting(yes: boolean): void;
  /** Playback has come to the end of what is recorded. */
  ended(): void;
  failed(code: FailureCode, detail: string): void;
  codecs(missing: string[]): void;
}

/** Whether the picture is moved to what is loaded: exactly, to its keyframe, or not at all. */
type How = "seek" | "keyframe" | "append";

interface Chosen {
  mime: string;
  drop: number[];
  missing: string[];
}

export class Playback {
  #source = new MediaSource();
  #buffer: SourceBuffer | null = null;
  #opened: Promise<void>;
  #mime = "";
  #init: Uint8Array | null = null;
  #job = 0;
  #lock: Promise<unknown> = Promise.resolve();
  /** Holes over which the playing position is carried: [from, to] in media seconds. */
  #jumps: { from: number; to: number }[] = [];
  #frames: { key: string; times: number[] } | null = null;
  #rate = 1;
  #stepper = 0;
  #closed = false;
  #shown = -1;
  #timer: number;

  constructor(
    readonly video: HTMLVideoElement,
    readonly catalogue: Catalogue,
    /** Wall clock of media second 0. */
    readonly origin: number,
    private readonly events: PlaybackEvents,
  ) {
    this.#opened = new Promise((resolve) => this.#source.addEventListener("sourceopen", () => resolve(), { once: true }));
    video.srcObject = null;
    video.src = URL.createObjectURL(this.#source);
    this.#timer = window.setInterval(() => this.#carry(), 50);
    this.#watch();
  }

  close(): void {
    this.#closed = true;
    this.#job++;
    this.#stepper++;
    clearInterval(this.#timer);
    URL.revokeObjectURL(this.video.src);
    this.video.removeAttribute("src");
    this.video.load();
  }

  /** The wall clock of the picture that is shown. */
  get wall(): number {
    return this.origin + this.video.currentTime * 1000;
  }

  #media(wall: number): number {
    return (wall - this.origin) / 1000;
  }

  #watch(): void {
    const shown = (_: number, m: VideoFrameCallbackMetadata) => {
      if (this.#closed) return;
      this.#shown = m.mediaTime;
      this.events.frame(this.origin + m.mediaTime * 1000);
      this.video.requestVideoFrameCallback(shown);
    };
    if ("requestVideoFrameCallback" in this.video) this.video.requestVideoFrameCallback(shown);
    else (this.video as HTMLVideoElement).addEventListener("timeupdate", () => !this.#closed && this.events.frame(this.wall));
    this.video.addEventListener("waiting", () => !this.#closed && this.events.waiting(true));
    this.video.addEventListener("playing", () => !this.#closed && this.events.waiting(false));
  }

  /**
   * Shows the picture of a time, or of the keyframe before it while the hand
   * still moves. Whatever was being loaded for another place is given up.
   */
  async seek(wall: number, keyframeOnly = false): Promise<void> {
    const job = ++this.#job;
    this.#jumps = [];
    const ready = this.#bufferedUntil(this.#media(wall));
    if (ready > 0) {
      this.video.currentTime = this.#media(wall) + 0.001;
      if (keyframeOnly) return;
    }
    try {
      await this.#opened;
      // What is there already is not fetched again: loading goes on at its end.
      const from = ready > 0 ? this.origin + ready * 1000 + 1 : wall;
      const s = await this.catalogue.at(from);
      if (job !== this.#job) return;
      if (!s) return ready > 0 ? undefined : this.events.ended();
      if (from < s.start && ready === 0) this.events.skipped(wall, s.start);
      const loading = this.#load(job, s, Math.max(from, s.start), ready > 0 ? "append" : keyframeOnly ? "keyframe" : "seek");
      // Loading ahead goes on for as long as playback does: nobody waits for that.
      if (keyframeOnly) await loading;
      else loading.catch((e) => this.#fail(job, e));
    } catch (e) {
      this.#fail(job, e);
    }
  }

  #fail(job: number, e: unknown): void {
    if (job !== this.#job || this.#closed) return;
    if (e instanceof Failure) {
      if (e.code !== "cancelled") this.events.failed(e.code, e.message);
    } else this.events.failed("internal", String(e));
  }

  /** Where the buffered stretch around a time ends; 0 where that time is not buffered. */
  #bufferedUntil(at: number): number {
    const b = this.#buffer?.buffered;
    for (let i = 0; b && i < b.length; i++) if (b.start(i) <= at && at < b.end(i) - 0.05) return b.end(i);
    return 0;
  }

  /** Loads from a time on, segment after segment, until another job takes over. */
  async #load(job: number, s: SegmentRef, wall: number, how: How): Promise<void> {
    let from = wall;
    for (let seg = s; ; ) {
      await this.#segment(job, seg, from, how);
      if (job !== this.#job || how === "keyframe") return;
      how = "append";
      const next = (await this.catalogue.next(seg)) ?? (await this.#wait(job, seg));
      if (job !== this.#job) return;
      if (!next) return this.#atEnd(job);
      const end = seg.start + seg.ms;
      if (next.start > end + 1) this.#jumps.push({ from: this.#media(end), to: this.#media(next.start) });
      seg = next;
      from = seg.start;
    }
  }

  /** At the end of what is recorded the next segment may only just be beginning. */
  async #wait(job: number, seg: SegmentRef): Promise<SegmentRef | null> {
    for (let i = 0; i < 6; i++) {
      await wait(600);
      if (job !== this.#job) return null;
      const next = await this.catalogue.at(seg.start + seg.ms + 1, true);
      if (next && next.start > seg.start) return next;
    }
    return null;
  }

  /** The recording stops here for now: say so once the picture has come to it. */
  async #atEnd(job: number): Promise<void> {
    while (job === this.#job && !this.video.paused && this.#left() > 0.1) await wait(100);
    if (job === this.#job) this.events.ended();
  }

  /** Appends one segment from the keyframe before `from` to its end, as playback comes nearer. */
  async #segment(job: number, seg: SegmentRef, from: number, how: How): Promise<void> {
    const target = from - seg.start;
    const begun = await this.#index(job, seg, target);
    if (!begun) return;
    let index: SegmentIndex;
    [seg, index] = begun;
    if (how === "seek") performance.mark("watch:indexed");
    const chosen = this.#choose(index);
    const k = lastBefore(index.keyframes, target);
    if (k < 0) throw new Failure("damaged", `${seg.url}: no keyframe`);
    await this.#prepare(job, seg, index, chosen);
    if (job !== this.#job) return;
    let { at, offset } = index.keyframes[k]!;
    // Clocks are rounded: a frame that begins at the very time asked for is meant.
    if (how !== "append") this.video.currentTime = this.#media(seg.start + (how === "keyframe" ? at : Math.max(target, at))) + 0.001;
    // The first request ends with the group of pictures that is asked for, and nothing
    // more is opened until its picture is there: decoding wants the machine for itself.
    let sought = how === "seek";
    for (let far = how === "keyframe" ? at : Math.max(at, target) + (sought ? 0 : 400); ; far = at + stride) {
      const next: Keyframe | undefined = index.keyframes.find((x) => x.offset > offset && x.at > far);
      const end = next?.offset ?? index.end;
      if (end > offset) await this.#append(job, seg, chosen, offset, end);
      if (job !== this.#job || how === "keyframe") return;
      if (sought) {
        performance.mark("watch:appended");
        sought = false;
        await painted(this.video, 250);
        if (job !== this.#job) return;
      }
      offset = Math.max(offset, end);
      at = next?.at ?? at;
      if (offset < index.end) {
        if (!(await this.#room(job))) return;
        continue;
      }
      if (index.complete) return;
      const grown = await this.#grown(job, seg, at);
      if (!grown) return;
      [seg, index] = grown;
      if (offset >= index.end && !seg.open) return;
    }
  }

  async #index(job: number, seg: SegmentRef, until: number): Promise<[SegmentRef, SegmentIndex] | null> {
    for (;;) {
      // A segment that has only just begun has nothing on disk yet.
      const empty = (e: unknown) => {
        if (seg.open && e instanceof Failure && e.code === "damaged") return null;
        throw e;
      };
      const index: SegmentIndex | null = await ask<"index">({ op: "index", segment: seg, until }).catch(empty);
      if (job !== this.#job) return null;
      if (index && (index.keyframes.length > 0 || !seg.open)) return [seg, index];
      await wait(500);
      const now = await this.catalogue.at(seg.start, true);
      if (job !== this.#job || now?.start !== seg.start) return null;
      seg = now;
    }
  }

  /** What has been added to a segment that is being written, or is found in a torn one. */
  async #grown(job: number, seg: SegmentRef, at: number): Promise<[SegmentRef, SegmentIndex] | null> {
    if (seg.open) {
      await wait(400);
      if (job !== this.#job) return null;
      const now = await this.catalogue.at(seg.start, true);
      if (job !== this.#job || now?.start !== seg.start) return null;
      seg = now;
    }
    const index = await ask<"index">({ op: "index", segment: seg, until: at + stride });
    return job === this.#job ? [seg, index] : null;
  }

  #choose(index: SegmentIndex): Chosen {
    const drop: number[] = [];
    const missing: string[] = [];
    const keep: Track[] = [];
    for (const t of index.tracks) {
      const ok = t.codec !== "" && t.kind !== "other" && MediaSource.isTypeSupported(`video/mp4; codecs="${t.codec}"`);
      if (ok && !keep.some((x) => x.kind === t.kind)) keep.push(t);
      else {
        drop.push(t.id);
        missing.push(t.codec || t.kind);
      }
    }
    if (!keep.some((t) => t.kind === "video")) throw new Failure("no-codec");
    return { mime: `video/mp4; codecs="${keep.map((t) => t.codec).join(",")}"`, drop, missing };
  }

  /** Gives the buffer the segment's parameters and place. */
  async #prepare(job: number, seg: SegmentRef, index: SegmentIndex, chosen: Chosen): Promise<void> {
    await this.#exclusive(job, async () => {
      const b = this.#buffer ?? this.#begin(chosen.mime);
      if (b.updating) await updated(b);
      b.abort();
      if (chosen.mime !== this.#mime) {
        b.changeType(chosen.mime);
        this.#mime = chosen.mime;
        this.#init = null;
      }
      const offset = this.#media(seg.start);
      if (b.timestampOffset !== offset) b.timestampOffset = offset;
      // Room behind the newest second, or seeking would be cut short.
      if (this.#source.duration < offset + 7200) this.#source.duration = offset + 86_400;
      const init = index.init.slice();
      hideTracks(init, chosen.drop);
      if (this.#init && same(this.#init, init)) return;
      b.appendBuffer(init);
      await updated(b);
      this.#init = init;
      this.events.codecs(chosen.missing);
    });
  }

  #begin(mime: string): SourceBuffer {
    const b = this.#source.addSourceBuffer(mime);
    this.#buffer = b;
    this.#mime = mime;
    this.#source.duration = this.#media(Date.now()) + 2 * 86_400;
    return b;
  }

  async #append(job: number, seg: SegmentRef, chosen: Chosen, from: number, to: number): Promise<void> {
    for await (const piece of stream({ op: "stream", segment: seg, from, to, drop: chosen.drop })) {
      if (job !== this.#job) return;
      await this.#exclusive(job, async () => {
        const b = this.#buffer!;
        if (b.updating) await updated(b);
        for (;;) {
          try {
            b.appendBuffer(piece as BufferSource);
            break;
          } catch (e) {
            if (!(e instanceof DOMException) || e.name !== "QuotaExceededError") throw e;
            await this.#trim(b, 2);
          }
        }
        await updated(b);
      });
      this.#carry();
    }
  }

  /** One user of the buffer at a time; a job that is over does nothing. */
  async #exclusive(job: number, f: () => Promise<void>): Promise<void> {
    const before = this.#lock;
    const mine = before.catch(() => undefined).then(() => (job === this.#job && !this.#closed ? f() : undefined));
    this.#lock = mine;
    await mine;
  }

  /** Waits until the buffer has room ahead; false where the job is over. */
  async #room(job: number): Promise<boolean> {
    while (job === this.#job && !this.#closed && this.#left() > ahead * Math.max(1, this.#rate)) {
      const b = this.#buffer;
      if (b && !b.updating && b.buffered.length > 0 && this.video.currentTime - b.buffered.start(0) > behind + 30) {
        await this.#exclusive(job, () => this.#trim(b, behind));
      }
      await wait(120);
    }
    return job === this.#job && !this.#closed;
  }

  /** Drops what lies more than `keep` seconds away behind, and everything far ahead. */
  async #trim(b: SourceBuffer, keep: number): Promise<void> {
    if (b.updating) await updated(b);
    const now = this.video.currentTime;
    const first = b.buffered.length ? b.buffered.start(0) : 0;
    const last = b.buffered.length ? b.buffered.end(b.buffered.length - 1) : 0;
    if (first < now - keep) {
      b.remove(first, now - keep);
      await updated(b);
    }
    if (last > now + 120) {
      b.remove(now + 120, last + 1);
      await updated(b);
    }
    if (keep <= 2 && first >= now - keep && last <= now + 120) throw new Failure("internal", "the browser's buffer is full");
  }

  /** Seconds ready after the playing position, as far as it will be carried without loading. */
  #left(): number {
    const b = this.#buffer?.buffered;
    const now = this.video.currentTime;
    let sum = 0;
    let reach = now + 0.1;
    for (let i = 0; b && i < b.length; i++) {
      if (b.end(i) <= now) continue;
      if (b.start(i) > reach + seam && !this.#jumpOver(reach, b.start(i))) break;
      sum += b.end(i) - Math.max(now, b.start(i));
      reach = b.end(i);
    }
    return sum;
  }

  /** The gap that lies between two ends of what is buffered. */
  #jumpOver(end: number, start: number): { from: number; to: number } | undefined {
    return this.#jumps.find((j) => j.from < start + seam && j.from > end - seam && j.to > start - seam && j.to - 0.2 < start);
  }

  /** Carries the playing position over holes: short seams silently, gaps with a word. */
  #carry(): void {
    const b = this.#buffer?.buffered;
    const v = this.video;
    if (!b || v.seeking || v.paused) return;
    const now = v.currentTime;
    for (let i = 0; i + 1 < b.length; i++) {
      const end = b.end(i);
      const start = b.start(i + 1);
      if (now < b.start(i) - 0.1 || now > end + 0.1 || end - now > 0.06 * Math.max(1, this.#rate)) continue;
      const jump = this.#jumpOver(end, start);
      if (start - end < seam || jump) {
        v.currentTime = start + 0.001;
        if (jump && jump.to - jump.from > seam) this.events.skipped(this.origin + jump.from * 1000, this.origin + jump.to * 1000);
        return;
      }
    }
  }

  // --- steps and speeds ---

  get rate(): number {
    return this.#rate;
  }

  /** Speeds above 4 and backwards show keyframes only. */
  setRate(rate: number): void {
    this.#rate = rate;
    this.#stepper++;
    if (rate >= 0 && rate <= 4) {
      this.video.playbackRate = rate || 1;
      return;
    }
    this.video.pause();
    void this.#run(this.#stepper, rate);
  }

  get stepping(): boolean {
    return this.#rate < 0 || this.#rate > 4;
  }

  async #run(mine: number, rate: number): Promise<void> {
    let wall = this.wall;
    let last = performance.now();
    while (mine === this.#stepper && !this.#closed) {
      await wait(110);
      const now = performance.now();
      wall += (now - last) * rate;
      last = now;
      if (mine !== this.#stepper) return;
      const s = await this.catalogue.at(wall).catch(() => null);
      if (!s) return this.events.ended();
      if (wall < s.start) {
        if (rate > 0) wall = s.start;
        else {
          const before = await this.#before(wall);
          if (before === null) return this.events.ended();
          wall = before;
        }
      }
      const shown = this.#shown;
      await this.seek(wall, true);
      for (let i = 0; i < 20 && this.#shown === shown && mine === this.#stepper; i++) await wait(15);
    }
  }

  /** The last recorded moment before a time, looked for an hour at a time for a day. */
  async #before(wall: number): Promise<number | null> {
    for (let t = wall - 1000, i = 0; i < 200; i++) {
      const s = await this.catalogue.at(t);
      if (s && s.start <= t) return t;
      t -= i < 60 ? 10_000 : 600_000;
    }
    return null;
  }

  /** Shows the next or the previous frame, as the file has them. */
  async step(by: 1 | -1): Promise<void> {
    const wall = this.origin + Math.max(this.#shown, 0) * 1000;
    const s = await this.catalogue.at(wall + 0.5);
    if (!s) return;
    const here = wall - s.start;
    const times = await this.#frameTimes(s, here);
    const eps = 1;
    const to = by > 0 ? times.find((x) => x > here + eps) : times.findLast((x) => x < here - eps);
    if (to !== undefined) return this.seek(s.start + to);
    if (by > 0) {
      const after = await this.#frameTimes(s, (times.at(-1) ?? here) + 200);
      const next = after.find((x) => x > here + eps);
      if (next !== undefined) return this.seek(s.start + next);
      return this.seek(s.start + s.ms + 1);
    }
    const first = times[0] ?? here;
    if (first > eps) {
      const prior = (await this.#frameTimes(s, first - eps)).findLast((x) => x < here - eps);
      if (prior !== undefined) return this.seek(s.start + prior);
    }
    return this.seek(s.start - 20);
  }

  async #frameTimes(s: SegmentRef, at: number): Promise<number[]> {
    const index = await ask<"index">({ op: "index", segment: s, until: at });
    const k = lastBefore(index.keyframes, at);
    if (k < 0) return [];
    const next = index.keyframes[k + 1]?.offset ?? index.end;
    const key = `${s.url}#${k}#${next}`;
    if (this.#frames?.key !== key) {
      this.#frames = { key, times: await ask<"frames">({ op: "frames", segment: s, keyframe: index.keyframes[k]!.offset, next }) };
    }
    return this.#frames.times;
  }

  /** Loads header and keyframe table of where the hand may click next. */
  async prefetch(wall: number): Promise<void> {
    try {
      const s = await this.catalogue.at(wall);
      if (s && s.state === "sealed") await ask<"index">({ op: "index", segment: s, until: 0 });
    } catch {
      // a guess: when it matters, it is asked again and the answer told
    }
  }
}

function lastBefore(keys: Keyframe[], at: number): number {
  // Half a millisecond: segment starts are in whole ones.
  let k = keys.findLastIndex((x) => x.at <= at + 0.5);
  if (k < 0 && keys.length > 0) k = 0;
  return k;
}

function updated(b: SourceBuffer): Promise<void> {
  if (!b.updating) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const done = () => {
      b.removeEventListener("updateend", done);
      b.removeEventListener("error", fail);
      resolve();
    };
    const fail = () => {
      b.removeEventListener("updateend", done);
      b.removeEventListener("error", fail);
      reject(new Failure("damaged", "the browser cannot read the video"));
    };
    b.addEventListener("updateend", done);
    b.addEventListener("error", fail);
  });
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}

/** The next picture of a video, or that it takes too long. */
function painted(video: HTMLVideoElement, most: number): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, most);
    video.requestVideoFrameCallback(() => {
      clearTimeout(timer);
      done();
    });
  });
}
