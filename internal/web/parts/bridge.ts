// What the page and its worker say to each other. The worker alone holds the
// reader's identity and the day keys; the page asks it for opened bytes.

import type { Segment } from "./api";

/** Which sealed file: a segment as the server lists it, and whose it is. */
export interface SegmentRef extends Segment {
  camera: string;
  stream: string;
}

/** A place where decoding can begin: ms after the segment's start, and the byte of the opened file. */
export interface Keyframe {
  at: number;
  offset: number;
}

export interface Track {
  id: number;
  kind: "video" | "audio" | "other";
  /** RFC 6381, "" where not known. */
  codec: string;
  timescale: number;
}

/** What a player needs to know of a segment before it plays it. */
export interface SegmentIndex {
  /** ftyp and moov. */
  init: Uint8Array;
  tracks: Track[];
  keyframes: Keyframe[];
  /** First byte after the last part that can be read now. */
  end: number;
  /** false where a torn file has not been read to its end yet, or the segment is still being written. */
  complete: boolean;
}

/** What is known of the identities that are unlocked, without their secrets. */
export interface KeyInfo {
  recipients: string[];
  /** Sealed under a key of this browser: safe to keep for the session. Empty where the browser cannot. */
  session: Uint8Array | null;
}

/** Codes that the page turns into words. */
export type FailureCode = "locked" | "wrong-key" | "no-day-key" | "not-a-key" | "wrong-passphrase" | "damaged" | "no-codec" | "gone" | "network" | "cancelled" | "internal";

export class Failure extends Error {
  constructor(
    readonly code: FailureCode,
    detail = "",
  ) {
    super(detail || code);
  }
}

export type Request =
  | { op: "unlock"; text: string }
  | { op: "restore"; session: Uint8Array }
  | { op: "lock" }
  | { op: "generate" }
  | { op: "wrap"; secret: string | Uint8Array }
  | { op: "unwrap"; secret: string | Uint8Array; wrapped: Uint8Array }
  | { op: "index"; segment: SegmentRef; until: number }
  | { op: "frames"; segment: SegmentRef; keyframe: number; next: number }
  | { op: "stream"; segment: SegmentRef; from: number; to: number; drop: number[] };

export interface Answers {
  unlock: KeyInfo;
  restore: KeyInfo;
  lock: null;
  generate: { identity: string; recipient: string };
  wrap: Uint8Array;
  unwrap: KeyInfo;
  index: SegmentIndex;
  frames: number[];
  stream: null;
}

export type Envelope = { id: number; request: Request } | { id: number; cancel: true };

export type Reply =
  | { id: number; value: unknown }
  | { id: number; piece: Uint8Array }
  | { id: number; failure: FailureCode; detail: string };
