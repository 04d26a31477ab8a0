// One segment as the worker knows it: opened, indexed, read in ranges.

import type { Decrypter } from "age-encryption";
import { type ChunkCache, SealedFile, type Source } from "./age";
import { boxes, header, initEnd, mfraSize, mfroSize, readMfra, readPart, tracks } from "./boxes";
import { Failure, type Keyframe, type SegmentIndex, type SegmentRef, type Track } from "./bridge";

/** A file without a keyframe table is read in steps of this many bytes. */
const scanStep = 1 << 20;
const maxInit = 1 << 20;
const maxMfra = 4 << 20;

export class OpenedSegment {
  #index: SegmentIndex | null = null;
  /** Where the reading of a file without a keyframe table has come to. */
  #scanned = 0;

  private constructor(
    readonly file: SealedFile,
    private ref: SegmentRef,
  ) {}

  static async open(ref: SegmentRef, source: Source, keys: Decrypter, cache: ChunkCache): Promise<OpenedSegment> {
    const file = await SealedFile.open(ref.url, source, ref.bytes, whole(ref), keys, cache);
    return new OpenedSegment(file, ref);
  }

  /** Takes note of what the server says now of a segment that is being written. */
  update(ref: SegmentRef): void {
    if (ref.bytes === this.ref.bytes && ref.state === this.ref.state) return;
    this.file.grow(ref.bytes, whole(ref));
    if (this.#index && !this.#index.complete) {
      if (whole(ref)) this.#index = null;
      else this.#useParts(this.#index, ref);
    }
    this.ref = ref;
  }

  /** @param until ms after the start up to which keyframes are wanted, where they take reading to find. */
  async index(until: number): Promise<SegmentIndex> {
    this.#index ??= await this.#begin();
    if (!this.#index.complete && !this.ref.parts?.length) await this.#scan(this.#index, until);
    return this.#index;
  }

  /** Presentation times in ms of the frames from one keyframe up to an offset. */
  async frames(from: number, to: number): Promise<number[]> {
    const video = videoTrack((await this.index(0)).tracks);
    const bytes = await this.file.read(from, to);
    const times: number[] = [];
    for (const x of boxes(bytes)) {
      if (x.type === "moof") times.push(...readPart(bytes, x, video).times);
    }
    return times.sort((a, b) => a - b);
  }

  async #begin(): Promise<SegmentIndex> {
    const [init, table] = await Promise.all([this.#init(), this.#table()]);
    const index: SegmentIndex = { init, tracks: tracks(init), keyframes: [], end: init.length, complete: false };
    const keyframes = table ? readMfra(table, videoTrack(index.tracks)) : [];
    if (table && keyframes.length > 0) {
      index.keyframes = keyframes;
      index.end = this.file.plainSize - table.length;
      index.complete = true;
    } else if (this.ref.parts?.length) {
      this.#useParts(index, this.ref);
    } else {
      this.#scanned = init.length;
    }
    return index;
  }

  async #init(): Promise<Uint8Array> {
    for (let n = 32 << 10; ; n *= 4) {
      const head = await this.file.read(0, Math.min(n, this.file.plainSize));
      const end = initEnd(head);
      if (end > 0) return head.slice(0, end);
      if (n >= maxInit || head.length >= this.file.plainSize) throw new Failure("damaged", `${this.ref.url}: no moov`);
    }
  }

  async #table(): Promise<Uint8Array | null> {
    const size = this.file.plainSize;
    if (!whole(this.ref) || size < mfroSize) return null;
    const n = mfraSize(await this.file.read(size - mfroSize, size));
    if (n < mfroSize || n > Math.min(maxMfra, size)) return null;
    return this.file.read(size - n, size);
  }

  /** The server lists the parts of the segment that it is writing; the last one may not be on disk whole. */
  #useParts(index: SegmentIndex, ref: SegmentRef): void {
    const parts = ref.parts ?? [];
    const size = this.file.plainSize;
    index.keyframes = parts.filter((p) => p.key && p.offset < size).map((p): Keyframe => ({ at: p.at, offset: p.offset }));
    index.end = parts.reduce((end, p) => (p.offset <= size ? Math.max(end, p.offset) : end), index.init.length);
  }

  /** Reads a torn file on until a keyframe after `until`, box by box. */
  async #scan(index: SegmentIndex, until: number): Promise<void> {
    const video = videoTrack(index.tracks);
    const size = this.file.plainSize;
    while (!index.complete && (index.keyframes.at(-1)?.at ?? -1) <= until) {
      const bytes = await this.file.read(this.#scanned, Math.min(this.#scanned + scanStep, size));
      let at = 0;
      for (;;) {
        const x = header(bytes, at);
        if (!x || (x.type === "moof" && x.end > bytes.length)) break;
        if (x.type === "mfra") break;
        if (x.type === "moof") {
          const part = readPart(bytes, x, video);
          if (part.key) index.keyframes.push({ at: Math.min(...part.times), offset: this.#scanned + x.start });
        } else if (x.type === "mdat" && this.#scanned + x.end <= size) index.end = this.#scanned + x.end;
        at = x.end;
      }
      if (at === 0 || this.#scanned + at >= size) index.complete = true;
      this.#scanned += at;
    }
  }
}

function whole(ref: SegmentRef): boolean {
  return ref.state !== "open" && ref.state !== "torn" && !ref.open;
}

function videoTrack(list: Track[]): Track {
  const t = list.find((x) => x.kind === "video");
  if (!t) throw new Failure("damaged", "no video track");
  return t;
}
