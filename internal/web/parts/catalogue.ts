// Which segments exist around a time: the server's lists, kept by the hour.

import * as api from "./api";
import type { SegmentRef } from "./bridge";

const hour = 3_600_000;
/** The server gives at most this many at once. */
const page = 120;

interface Bucket {
  list: SegmentRef[];
  /** On performance.now(): a list that may still grow is asked for again. */
  asked: number;
  final: boolean;
}

export class Catalogue {
  #buckets = new Map<number, Promise<Bucket>>();
  #stale = 0;

  constructor(
    readonly camera: string,
    readonly stream: string,
    /** The server's clock. */
    private readonly now: () => number,
  ) {}

  /** A new segment exists: lists that may still grow are old. */
  touch(): void {
    this.#stale = performance.now();
  }

  /** The segment that covers a time, or the next one after it; null where nothing follows. */
  async at(time: number, fresh = false): Promise<SegmentRef | null> {
    const start = Math.floor(time / hour);
    const list = (await this.#bucket(start, fresh)).list;
    const hit = list.find((s) => time < s.start + s.ms || s.open);
    if (hit) return hit;
    return this.#after((start + 1) * hour);
  }

  /** The segment that follows one. */
  async next(s: SegmentRef): Promise<SegmentRef | null> {
    const from = s.start + 1;
    for (const b of [Math.floor(from / hour), Math.floor((s.start + s.ms) / hour)]) {
      const hit = (await this.#bucket(b, false)).list.find((x) => x.start >= from);
      if (hit) return hit;
    }
    return this.#after((Math.floor((s.start + s.ms) / hour) + 1) * hour);
  }

  /** The first segment from an hour's beginning on, however far away. */
  async #after(time: number): Promise<SegmentRef | null> {
    if (time > this.now()) return null;
    const near = (await this.#bucket(time / hour, false)).list[0];
    if (near) return near;
    const found = (await api.segments(this.camera, this.stream, time, this.now() + hour))[0];
    return found ? this.#ref(found) : null;
  }

  #bucket(index: number, fresh: boolean): Promise<Bucket> {
    const old = this.#buckets.get(index);
    if (!old) return this.#fetch(index);
    return old.then((b) => {
      const age = performance.now() - b.asked;
      const growing = !b.final && (fresh ? age > 400 : b.asked < this.#stale || age > 5000);
      return growing ? this.#fetch(index) : b;
    });
  }

  #fetch(index: number): Promise<Bucket> {
    const asked = performance.now();
    const p = this.#all(index * hour, (index + 1) * hour).then((list) => ({
      list,
      asked,
      final: (index + 1) * hour < this.now() - 120_000 && !list.some((s) => s.open),
    }));
    this.#buckets.set(index, p);
    p.catch(() => this.#buckets.get(index) === p && this.#buckets.delete(index));
    return p;
  }

  async #all(from: number, to: number): Promise<SegmentRef[]> {
    const list: SegmentRef[] = [];
    for (let at = from; list.length < 4000; ) {
      const got = await api.segments(this.camera, this.stream, at, to);
      const fresh = got.filter((s) => !list.some((x) => x.start === s.start));
      list.push(...fresh.map((s) => this.#ref(s)));
      if (got.length < page || fresh.length === 0) break;
      at = list.at(-1)!.start + 1;
    }
    return list.sort((a, b) => a.start - b.start);
  }

  #ref(s: api.Segment): SegmentRef {
    return { ...s, open: s.open || s.state === "open", camera: this.camera, stream: this.stream };
  }
}
