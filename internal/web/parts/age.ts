// Random access into one age file (https://age-encryption.org/v1): the header
// gives the file key, and every 64 KiB of the payload opens alone.

import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import type { Decrypter } from "age-encryption";
import { Failure } from "./bridge";

const chunkPlain = 64 * 1024;
const tag = 16;
export const chunkSealed = chunkPlain + tag;
const nonceSize = 16;
/** A segment has one reader, its day: more header than this is not ours. */
const maxHeader = 64 * 1024;

/** Where the sealed bytes come from. */
export interface Source {
  /** Yields bytes [from, to) in pieces of any size; may end early where the file does. */
  read(from: number, to: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

/** Opens one chunk, or throws. */
export interface Cipher {
  open(nonce: Uint8Array, sealed: Uint8Array): Promise<Uint8Array>;
}

const aead = "ChaCha20-Poly1305";

/** The browser's own cipher is about ten times as fast as one in JavaScript. */
export async function nativeCipher(key: Uint8Array): Promise<Cipher | null> {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) return null;
  try {
    const k = await subtle.importKey("raw-secret" as "raw", key as BufferSource, { name: aead }, false, ["decrypt"]);
    return {
      async open(iv, sealed) {
        return new Uint8Array(await subtle.decrypt({ name: aead, iv } as unknown as AlgorithmIdentifier, k, sealed as BufferSource));
      },
    };
  } catch {
    return null;
  }
}

export function scriptCipher(key: Uint8Array): Cipher {
  return { open: async (nonce, sealed) => chacha20poly1305(key, nonce).decrypt(sealed) };
}

let native: boolean | undefined;

async function cipher(key: Uint8Array): Promise<Cipher> {
  if (native !== false) {
    const c = await nativeCipher(key);
    native = c !== null;
    if (c) return c;
  }
  return scriptCipher(key);
}

/** headerEnd finds the byte after the header's MAC line, or -1 where it is not in b. */
export function headerEnd(b: Uint8Array): number {
  for (let i = 0; i + 5 < b.length; i++) {
    // "\n--- " begins the last line of every header.
    if (b[i] === 10 && b[i + 1] === 45 && b[i + 2] === 45 && b[i + 3] === 45 && b[i + 4] === 32) {
      const end = b.indexOf(10, i + 5);
      return end < 0 ? -1 : end + 1;
    }
  }
  return -1;
}

async function gather(source: Source, from: number, to: number, signal?: AbortSignal): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let n = 0;
  for await (const p of source.read(from, to, signal)) {
    pieces.push(p);
    n += p.length;
  }
  return join(pieces, n);
}

export function join(pieces: Uint8Array[], n = pieces.reduce((a, p) => a + p.length, 0)): Uint8Array {
  if (pieces.length === 1) return pieces[0] as Uint8Array;
  const all = new Uint8Array(n);
  let at = 0;
  for (const p of pieces) {
    all.set(p, at);
    at += p.length;
  }
  return all;
}

/** Chunks that were opened, over all files, least recently used first. */
export class ChunkCache {
  #chunks = new Map<string, Uint8Array>();
  #bytes = 0;
  constructor(readonly limit = 96 << 20) {}

  get(key: string): Uint8Array | undefined {
    const c = this.#chunks.get(key);
    if (c) {
      this.#chunks.delete(key);
      this.#chunks.set(key, c);
    }
    return c;
  }

  put(key: string, chunk: Uint8Array): void {
    this.drop(key);
    this.#chunks.set(key, chunk);
    this.#bytes += chunk.length;
    for (const k of this.#chunks.keys()) {
      if (this.#bytes <= this.limit) break;
      this.drop(k);
    }
  }

  drop(key: string): void {
    const old = this.#chunks.get(key);
    if (!old) return;
    this.#bytes -= old.length;
    this.#chunks.delete(key);
  }

  clear(): void {
    this.#chunks.clear();
    this.#bytes = 0;
  }
}

/** One sealed file, opened where asked. */
export class SealedFile {
  #size: number;

  private constructor(
    readonly name: string,
    readonly source: Source,
    readonly payload: number,
    size: number,
    /** false while the file grows or where a crash cut it: then no chunk is marked as the last. */
    private whole: boolean,
    private readonly cipher: Cipher,
    private readonly cache: ChunkCache,
  ) {
    this.#size = size;
  }

  /**
   * Reads header and first chunk in one request.
   * @param size bytes of the sealed file
   * @param whole false for a file that is growing or torn
   */
  static async open(name: string, source: Source, size: number, whole: boolean, keys: Decrypter, cache: ChunkCache, signal?: AbortSignal): Promise<SealedFile> {
    if (size <= nonceSize) throw new Failure("damaged", `${name} is empty`);
    let head = await gather(source, 0, Math.min(size, 4096 + chunkSealed), signal);
    let end = headerEnd(head);
    if (end < 0 && head.length < size) {
      head = await gather(source, 0, Math.min(size, maxHeader + chunkSealed), signal);
      end = headerEnd(head);
    }
    if (end < 0 || end > maxHeader || head.length < end + nonceSize) throw new Failure("damaged", `no age header in ${name}`);
    const fileKey = await unwrap(keys, head.subarray(0, end), name);
    const payload = end + nonceSize;
    const key = hkdf(sha256, fileKey, head.subarray(end, payload), new TextEncoder().encode("payload"), 32);
    fileKey.fill(0);
    const file = new SealedFile(name, source, payload, size, whole, await cipher(key), cache);
    const first = head.subarray(payload, payload + chunkSealed);
    if (first.length === chunkSealed || payload + first.length === size) await file.#openChunk(0, first).catch(() => undefined);
    return file;
  }

  /** Takes note that the file has grown, or is finished. */
  grow(size: number, whole: boolean): void {
    if (size === this.#size && whole === this.whole) return;
    // What was the short last chunk may be a full one now.
    this.cache.drop(this.#key(this.#chunks() - 1));
    this.#size = size;
    this.whole = whole;
  }

  /** Opened bytes that can be read: whole chunks only while the file grows. */
  get plainSize(): number {
    const sealed = this.#size - this.payload;
    const full = Math.floor(sealed / chunkSealed);
    const rest = sealed - full * chunkSealed;
    return full * chunkPlain + (this.whole && rest > tag ? rest - tag : 0);
  }

  async read(from: number, to: number, signal?: AbortSignal): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for await (const p of this.stream(from, to, signal)) pieces.push(p);
    return join(pieces);
  }

  /** Yields opened bytes [from, to), chunk by chunk as they arrive, with one request for what is not cached. */
  async *stream(from: number, to: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    to = Math.min(to, this.plainSize);
    if (from >= to) return;
    const last = Math.floor((to - 1) / chunkPlain);
    for (let i = Math.floor(from / chunkPlain); i <= last; ) {
      const cached = this.cache.get(this.#key(i));
      if (cached) {
        yield cut(cached, i, from, to);
        i++;
        continue;
      }
      let stop = i + 1;
      while (stop <= last && !this.cache.get(this.#key(stop))) stop++;
      for await (const chunk of this.#fetch(i, stop, signal)) {
        yield cut(chunk, i, from, to);
        i++;
      }
      if (i < stop) throw new Failure("damaged", `${this.name} ends at chunk ${i}`);
    }
  }

  async *#fetch(first: number, stop: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const from = this.payload + first * chunkSealed;
    const to = Math.min(this.payload + stop * chunkSealed, this.#size);
    let buffer = new Uint8Array(chunkSealed);
    let used = 0;
    let index = first;
    for await (let piece of this.source.read(from, to, signal)) {
      while (piece.length > 0) {
        const n = Math.min(piece.length, chunkSealed - used);
        buffer.set(piece.subarray(0, n), used);
        used += n;
        piece = piece.subarray(n);
        if (used === chunkSealed) {
          yield await this.#openChunk(index++, buffer);
          buffer = new Uint8Array(chunkSealed);
          used = 0;
        }
      }
    }
    if (used > 0) yield await this.#openChunk(index, buffer.subarray(0, used));
  }

  async #openChunk(index: number, sealed: Uint8Array): Promise<Uint8Array> {
    const mayBeLast = index === this.#chunks() - 1;
    // A growing or torn file normally has no last chunk, a finished one has:
    // the state in the name is only a hint, so the other is tried too.
    for (const last of mayBeLast ? [this.whole, !this.whole] : [false]) {
      try {
        const plain = await this.cipher.open(nonce(index, last), sealed);
        this.cache.put(this.#key(index), plain);
        return plain;
      } catch {
        // tried the other way round below
      }
    }
    throw new Failure("damaged", `chunk ${index} of ${this.name} does not open`);
  }

  #chunks(): number {
    return Math.max(1, Math.ceil((this.#size - this.payload) / chunkSealed));
  }

  #key(index: number): string {
    return this.name + "#" + index;
  }
}

function cut(chunk: Uint8Array, index: number, from: number, to: number): Uint8Array {
  const base = index * chunkPlain;
  return chunk.subarray(Math.max(0, from - base), Math.max(0, to - base));
}

/** The nonce of STREAM: eleven bytes of counter, big-endian, and the last-chunk flag. */
function nonce(index: number, last: boolean): Uint8Array {
  const n = new Uint8Array(12);
  new DataView(n.buffer).setUint32(7, index);
  n[11] = last ? 1 : 0;
  return n;
}

async function unwrap(keys: Decrypter, header: Uint8Array, name: string): Promise<Uint8Array> {
  try {
    return await keys.decryptHeader(header);
  } catch (e) {
    const text = String(e);
    if (text.includes("no identity matched")) throw new Failure("wrong-key", name);
    throw new Failure("damaged", `${name}: ${text}`);
  }
}
