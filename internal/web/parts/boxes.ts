// Just enough of ISO/IEC 14496-12 to play what the recorder writes: track
// list, keyframe table, sample times of a part, and the removal of tracks
// that the browser cannot decode. All input is hostile: every length is checked.

import { Failure, type Keyframe, type Track } from "./bridge";

export interface Box {
  type: string;
  start: number;
  body: number;
  end: number;
}

const damaged = (what: string) => new Failure("damaged", what);

function view(b: Uint8Array): DataView {
  return new DataView(b.buffer, b.byteOffset, b.byteLength);
}

/** Reads the box header at `at`; null where b holds less than a header. The box may end outside b. */
export function header(b: Uint8Array, at: number): Box | null {
  if (at + 8 > b.length) return null;
  const v = view(b);
  let size = v.getUint32(at);
  let body = at + 8;
  if (size === 1) {
    if (at + 16 > b.length) return null;
    size = Number(v.getBigUint64(at + 8));
    body = at + 16;
  }
  if (size < body - at) throw damaged(`box of ${size} bytes at ${at}`);
  const type = String.fromCharCode(b[at + 4]!, b[at + 5]!, b[at + 6]!, b[at + 7]!);
  return { type, start: at, body, end: at + size };
}

/** Yields the boxes that lie whole in b[from:to]. */
export function* boxes(b: Uint8Array, from = 0, to = b.length): Generator<Box> {
  for (let at = from; at < to; ) {
    const x = header(b, at);
    if (!x || x.end > to) return;
    yield x;
    at = x.end;
  }
}

function find(b: Uint8Array, within: Box, ...path: string[]): Box | null {
  let here = within;
  for (const type of path) {
    let next: Box | null = null;
    for (const x of boxes(b, here.body, here.end)) {
      if (x.type === type) {
        next = x;
        break;
      }
    }
    if (!next) return null;
    here = next;
  }
  return here;
}

/** The length of ftyp and moov together, or 0 where moov does not end in b. */
export function initEnd(b: Uint8Array): number {
  for (const x of boxes(b)) if (x.type === "moov") return x.end;
  return 0;
}

/** Lists the tracks of an initialization segment. */
export function tracks(init: Uint8Array): Track[] {
  const list: Track[] = [];
  for (const moov of boxes(init)) {
    if (moov.type !== "moov") continue;
    for (const trak of boxes(init, moov.body, moov.end)) {
      if (trak.type === "trak" && list.length < 16) list.push(track(init, trak));
    }
  }
  return list;
}

function track(b: Uint8Array, trak: Box): Track {
  const v = view(b);
  const tkhd = find(b, trak, "tkhd");
  const mdhd = find(b, trak, "mdia", "mdhd");
  const hdlr = find(b, trak, "mdia", "hdlr");
  const stsd = find(b, trak, "mdia", "minf", "stbl", "stsd");
  if (!tkhd || !mdhd || !hdlr || !stsd || hdlr.end < hdlr.body + 12 || stsd.end < stsd.body + 16) throw damaged("track without its boxes");
  const wide = (x: Box, at: number) => x.body + (b[x.body] === 1 ? at + 8 : at);
  const handler = String.fromCharCode(...b.subarray(hdlr.body + 8, hdlr.body + 12));
  const timescale = v.getUint32(wide(mdhd, 12));
  if (timescale === 0) throw damaged("track with timescale 0");
  const entry = header(b, stsd.body + 8);
  return {
    id: v.getUint32(wide(tkhd, 12)),
    kind: handler === "vide" ? "video" : handler === "soun" ? "audio" : "other",
    codec: entry && entry.end <= stsd.end ? codec(b, entry) : "",
    timescale,
  };
}

const hex = (n: number) => n.toString(16).padStart(2, "0");

/** The codecs parameter of RFC 6381 for one sample entry. */
function codec(b: Uint8Array, entry: Box): string {
  switch (entry.type) {
    case "avc1":
    case "avc3": {
      const c = child(b, entry, 78, "avcC");
      return c && c.end - c.body >= 4 ? `${entry.type}.${hex(b[c.body + 1]!)}${hex(b[c.body + 2]!)}${hex(b[c.body + 3]!)}` : "";
    }
    case "hvc1":
    case "hev1": {
      const c = child(b, entry, 78, "hvcC");
      return c && c.end - c.body >= 13 ? `${entry.type}.${hevc(b.subarray(c.body, c.body + 13))}` : "";
    }
    case "mp4a": {
      const c = child(b, entry, 28, "esds");
      return c ? audioObject(b.subarray(c.body + 4, c.end)) : "";
    }
    case "Opus":
      return "opus";
    default:
      return "";
  }
}

function child(b: Uint8Array, entry: Box, skip: number, type: string): Box | null {
  for (const x of boxes(b, entry.body + skip, entry.end)) if (x.type === type) return x;
  return null;
}

/** ISO/IEC 14496-15, Annex E.3. */
function hevc(c: Uint8Array): string {
  const space = ["", "A", "B", "C"][c[1]! >> 6];
  const compat = view(c).getUint32(2);
  let reversed = 0;
  for (let i = 0; i < 32; i++) if (compat & (1 << i)) reversed |= 1 << (31 - i);
  const constraints = [...c.subarray(6, 12)];
  while (constraints.length > 0 && constraints.at(-1) === 0) constraints.pop();
  const tier = c[1]! & 0x20 ? "H" : "L";
  return [`${space}${c[1]! & 31}`, (reversed >>> 0).toString(16), `${tier}${c[12]}`, ...constraints.map((x) => x.toString(16))].join(".");
}

/** Object type of an esds body (ISO/IEC 14496-1, 7.2.6): descriptors ES, DecoderConfig, DecoderSpecificInfo. */
function audioObject(b: Uint8Array): string {
  let at = 0;
  const open = (want: number): boolean => {
    if (b[at++] !== want) return false;
    for (let i = 0; i < 4; i++) if (!(b[at++]! & 0x80)) return true;
    return false;
  };
  if (!open(3)) return "";
  const flags = b[at + 2] ?? 0;
  at += 3 + (flags & 0x80 ? 2 : 0) + (flags & 0x40 ? 1 + (b[at + 3] ?? 0) : 0) + (flags & 0x20 ? 2 : 0);
  if (!open(4)) return "";
  const oti = b[at] ?? 0;
  if (oti !== 0x40) return `mp4a.${oti.toString(16).toUpperCase()}`;
  at += 13;
  if (!open(5) || at >= b.length) return "mp4a.40.2";
  let object = b[at]! >> 3;
  if (object === 31) object = 32 + (((b[at]! & 7) << 3) | ((b[at + 1] ?? 0) >> 5));
  return `mp4a.40.${object}`;
}

/**
 * Hides tracks by renaming their boxes to "free" (8.1.2), so that no size and
 * no offset changes. Works on an initialization segment or on a moof, in place.
 */
export function hideTracks(b: Uint8Array, ids: readonly number[]): void {
  const v = view(b);
  const free = (x: Box) => b.set([0x66, 0x72, 0x65, 0x65], x.start + 4);
  for (const top of boxes(b)) {
    if (top.type !== "moov" && top.type !== "moof") continue;
    for (const x of boxes(b, top.body, top.end)) {
      if (x.type === "trak" && ids.includes(track(b, x).id)) free(x);
      if (x.type === "traf") {
        const tfhd = find(b, x, "tfhd");
        if (tfhd && tfhd.end >= tfhd.body + 8 && ids.includes(v.getUint32(tfhd.body + 4))) free(x);
      }
      if (x.type === "mvex") {
        for (const trex of boxes(b, x.body, x.end)) {
          if (trex.type === "trex" && trex.end >= trex.body + 8 && ids.includes(v.getUint32(trex.body + 4))) free(trex);
        }
      }
    }
  }
}

/** Bytes of mfro, which end every finished segment (8.8.11). */
export const mfroSize = 16;

/** The size of the mfra box that ends a file, told by its last 16 bytes; 0 where there is none. */
export function mfraSize(tail: Uint8Array): number {
  const x = header(tail, tail.length - mfroSize);
  if (!x || x.type !== "mfro" || x.end !== tail.length) return 0;
  return view(tail).getUint32(tail.length - 4);
}

/** Reads the keyframes of one track from a whole mfra box (8.8.10). */
export function readMfra(b: Uint8Array, video: Track): Keyframe[] {
  const list: Keyframe[] = [];
  const v = view(b);
  for (const mfra of boxes(b)) {
    if (mfra.type !== "mfra") continue;
    for (const x of boxes(b, mfra.body, mfra.end)) {
      if (x.type !== "tfra" || x.end < x.body + 16 || v.getUint32(x.body + 4) !== video.id) continue;
      const wide = b[x.body] === 1;
      const lengths = v.getUint32(x.body + 8);
      const rest = ((lengths >> 4) & 3) + ((lengths >> 2) & 3) + (lengths & 3) + 3;
      const count = v.getUint32(x.body + 12);
      const size = (wide ? 16 : 8) + rest;
      if (x.body + 16 + count * size > x.end) throw damaged("keyframe table longer than its box");
      for (let i = 0, at = x.body + 16; i < count; i++, at += size) {
        const time = wide ? Number(v.getBigUint64(at)) : v.getUint32(at);
        const offset = wide ? Number(v.getBigUint64(at + 8)) : v.getUint32(at + 4);
        list.push({ at: (time * 1000) / video.timescale, offset });
      }
    }
  }
  return list.sort((a, c) => a.offset - c.offset);
}

/** What a moof says of one track's samples: presentation times in ms after the segment's start. */
export interface Part {
  times: number[];
  key: boolean;
}

/** Reads the samples of one track from a whole moof (8.8.4 to 8.8.12). */
export function readPart(b: Uint8Array, moof: Box, video: Track): Part {
  const v = view(b);
  const part: Part = { times: [], key: false };
  for (const traf of boxes(b, moof.body, moof.end)) {
    if (traf.type !== "traf") continue;
    const tfhd = find(b, traf, "tfhd");
    if (!tfhd || tfhd.end < tfhd.body + 8 || v.getUint32(tfhd.body + 4) !== video.id) continue;
    const tfdt = find(b, traf, "tfdt");
    let time = tfdt ? (b[tfdt.body] === 1 ? Number(v.getBigUint64(tfdt.body + 4)) : v.getUint32(tfdt.body + 4)) : 0;
    const defaults = fragmentDefaults(v, tfhd);
    for (const trun of boxes(b, traf.body, traf.end)) {
      if (trun.type === "trun") time = readRun(v, trun, defaults, time, video.timescale, part);
    }
  }
  return part;
}

interface Defaults {
  duration: number;
  flags: number;
}

function fragmentDefaults(v: DataView, tfhd: Box): Defaults {
  const has = v.getUint32(tfhd.body) & 0xffffff;
  let at = tfhd.body + 8 + (has & 1 ? 8 : 0) + (has & 2 ? 4 : 0);
  const take = (bit: number): number => {
    if (!(has & bit)) return 0;
    at += 4;
    return at <= tfhd.end ? v.getUint32(at - 4) : 0;
  };
  const duration = take(0x8);
  take(0x10);
  return { duration, flags: has & 0x20 ? take(0x20) : 0x10000 };
}

function readRun(v: DataView, trun: Box, d: Defaults, time: number, scale: number, part: Part): number {
  const has = v.getUint32(trun.body) & 0xffffff;
  const signed = v.getUint8(trun.body) !== 0;
  const count = v.getUint32(trun.body + 4);
  let at = trun.body + 8 + (has & 1 ? 4 : 0);
  const first = has & 4 ? v.getUint32(at) : null;
  if (has & 4) at += 4;
  const width = [0x100, 0x200, 0x400, 0x800].filter((bit) => has & bit).length * 4;
  if (at + count * width > trun.end || count > 100_000) throw damaged("sample table longer than its box");
  for (let i = 0; i < count; i++) {
    const duration = has & 0x100 ? v.getUint32(at) : d.duration;
    if (has & 0x100) at += 4;
    if (has & 0x200) at += 4;
    let flags = d.flags;
    if (has & 0x400) {
      flags = v.getUint32(at);
      at += 4;
    } else if (i === 0 && first !== null) flags = first;
    let shift = 0;
    if (has & 0x800) {
      shift = signed ? v.getInt32(at) : v.getUint32(at);
      at += 4;
    }
    if (part.times.length === 0) part.key = (flags & 0x10000) === 0;
    part.times.push(((time + shift) * 1000) / scale);
    time += duration;
  }
  return time;
}

/** Passes parts on while it hides tracks in each moof. Feed it from the beginning of a box. */
export class TrackFilter {
  #held = new Uint8Array(0);
  #pass = 0;

  constructor(readonly drop: readonly number[]) {}

  /** Returns what can be passed on of everything pushed so far. */
  push(piece: Uint8Array): Uint8Array {
    if (this.drop.length === 0) return piece;
    if (this.#held.length > 0) {
      const all = new Uint8Array(this.#held.length + piece.length);
      all.set(this.#held);
      all.set(piece, this.#held.length);
      piece = all;
    } else {
      piece = piece.slice(); // moofs are changed in place
    }
    let at = Math.min(this.#pass, piece.length);
    this.#pass -= at;
    while (at < piece.length) {
      const x = header(piece, at);
      if (!x) break;
      if (x.type === "moof") {
        if (x.end - x.start > 1 << 20) throw damaged("moof over 1 MiB");
        if (x.end > piece.length) break;
        hideTracks(piece.subarray(x.start, x.end), this.drop);
      } else if (x.end > piece.length) {
        this.#pass = x.end - piece.length;
        at = piece.length;
        break;
      }
      at = x.end;
    }
    this.#held = piece.slice(at);
    return piece.subarray(0, at);
  }
}
