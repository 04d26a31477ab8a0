// The worker: the only place where identities, day keys and opened bytes meet.

import { Decrypter } from "age-encryption";
import { ChunkCache, type Source } from "./age";
import { dayKey, Problem, range } from "./api";
import { TrackFilter } from "./boxes";
import { type Answers, type Envelope, Failure, type FailureCode, type Reply, type Request, type SegmentRef } from "./bridge";
import { OpenedSegment } from "./segment";
import { generate, Vault } from "./vault";

/** Segments whose header and keyframe table are kept. */
const maxOpened = 240;

const vault = new Vault();
const cache = new ChunkCache();
const days = new Map<string, Promise<Decrypter>>();
const opened = new Map<string, Promise<OpenedSegment>>();
const running = new Map<number, AbortController>();

function forget(): void {
  days.clear();
  opened.clear();
  cache.clear();
}

/** Opens a camera's day with the reader's identity; the day's identity stays in this worker. */
function day(camera: string, date: string): Promise<Decrypter> {
  const key = camera + "/" + date;
  let d = days.get(key);
  if (!d) {
    const keys = vault.decrypter();
    d = openDay(keys, camera, date);
    days.set(key, d);
    d.catch(() => days.get(key) === d && days.delete(key));
  }
  return d;
}

async function openDay(keys: Decrypter, camera: string, date: string): Promise<Decrypter> {
  let sealed: Uint8Array;
  try {
    sealed = await dayKey(camera, date);
  } catch (e) {
    if (e instanceof Problem && (e.status === 404 || e.status === 410)) throw new Failure("no-day-key", date);
    throw e;
  }
  let text: string;
  try {
    text = await keys.decrypt(sealed, "text");
  } catch (e) {
    throw new Failure(String(e).includes("no identity matched") ? "wrong-key" : "damaged", date);
  }
  const d = new Decrypter();
  for (const line of text.split("\n")) if (line.startsWith("AGE-SECRET-KEY-")) d.addIdentity(line.trim());
  return d;
}

async function segment(ref: SegmentRef): Promise<OpenedSegment> {
  const key = ref.url;
  let s = opened.get(key);
  if (!s) {
    if (vault.locked) throw new Failure("locked");
    const source: Source = { read: (from, to, signal) => range(ref.url, from, to, signal) };
    s = day(ref.camera, ref.day).then((keys) => OpenedSegment.open(ref, source, keys, cache));
    s.catch(() => opened.get(key) === s && opened.delete(key));
  }
  // Moved to the end: the map keeps the order of use.
  opened.delete(key);
  opened.set(key, s);
  for (const k of opened.keys()) {
    if (opened.size <= maxOpened) break;
    opened.delete(k);
  }
  const o = await s;
  o.update(ref);
  return o;
}

type Post = (piece: Uint8Array) => void;

const operations: { [K in Request["op"]]: (r: Extract<Request, { op: K }>, post: Post, signal: AbortSignal) => Promise<Answers[K]> } = {
  async unlock(r) {
    const info = await vault.unlock(r.text);
    forget();
    return info;
  },
  restore: (r) => vault.restore(r.session),
  async lock() {
    forget();
    await vault.lock();
    return null;
  },
  generate: () => generate(),
  wrap: (r) => vault.wrap(r.secret),
  async unwrap(r) {
    const info = await vault.unwrap(r.secret, r.wrapped);
    forget();
    return info;
  },
  async index(r) {
    return (await segment(r.segment)).index(r.until);
  },
  async frames(r) {
    return (await segment(r.segment)).frames(r.keyframe, r.next);
  },
  async stream(r, post, signal) {
    const s = await segment(r.segment);
    const filter = new TrackFilter(r.drop);
    for await (const piece of s.file.stream(r.from, r.to, signal)) {
      if (signal.aborted) throw new Failure("cancelled");
      const out = filter.push(piece);
      // A copy, because what it is cut from stays in the cache.
      if (out.length > 0) post(out.slice());
    }
    return null;
  },
};

function code(e: unknown, signal: AbortSignal): FailureCode {
  if (e instanceof Failure) return e.code;
  if (signal.aborted) return "cancelled";
  if (e instanceof Problem) return e.status === 404 || e.status === 410 ? "gone" : "network";
  if (e instanceof TypeError) return "network"; // fetch without an answer
  return "internal";
}

async function answer(id: number, r: Request): Promise<void> {
  const control = new AbortController();
  running.set(id, control);
  const send = (m: Reply, transfer: Transferable[] = []) => self.postMessage(m, { transfer });
  try {
    const run = operations[r.op] as (r: Request, post: Post, signal: AbortSignal) => Promise<unknown>;
    const value = await run(r, (piece) => send({ id, piece }, [piece.buffer]), control.signal);
    send({ id, value });
  } catch (e) {
    send({ id, failure: code(e, control.signal), detail: String(e instanceof Error ? e.message : e) });
  } finally {
    running.delete(id);
  }
}

self.onmessage = (e: MessageEvent<Envelope>) => {
  if ("cancel" in e.data) running.get(e.data.id)?.abort();
  else void answer(e.data.id, e.data.request);
};
