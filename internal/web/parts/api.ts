// The one door to the server. All times are Unix milliseconds.

export interface StreamInfo {
  name: string;
  codec: string;
  width: number;
  height: number;
  fps: number;
  kbps: number;
  audio: string;
  /** connecting, live, waiting, stopped */
  state: string;
  since: number;
  /** A code, "" where there is nothing to say. */
  reason: string;
  recording: boolean;
}

export interface Camera {
  id: string;
  name: string;
  site: string;
  enabled: boolean;
  streams: StreamInfo[];
}

export interface Gap {
  start: number;
  end: number;
  reason: string;
}

export interface Mark {
  start: number;
  end: number;
  state: string;
}

/** Recorded is [first, last] minus the gaps. */
export interface Timeline {
  first: number;
  last: number;
  now: number;
  gaps: Gap[];
  marks: Mark[];
  open: { start: number; end: number } | null;
}

export interface Segment {
  start: number;
  ms: number;
  bytes: number;
  /** sealed, torn, damaged, open */
  state: string;
  day: string;
  url: string;
  codecs: string;
  open?: boolean;
  parts?: { at: number; offset: number; key: boolean }[];
}

export interface LiveChoice {
  way: "webrtc" | "fmp4" | "pictures" | "none";
  stream: string;
  url: string;
  codec: string;
  why: string;
}

/** An answer that is not what was asked for: RFC 9457. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly hint: string,
  ) {
    super(title);
  }
}

async function problem(r: Response): Promise<Problem> {
  try {
    const p = (await r.json()) as { title?: string; detail?: string; hint?: string };
    return new Problem(r.status, p.detail || p.title || r.statusText, p.hint ?? "");
  } catch {
    return new Problem(r.status, r.statusText, "");
  }
}

async function get(url: string, init: RequestInit = {}): Promise<Response> {
  const r = await fetch(url, { credentials: "same-origin", ...init });
  if (!r.ok) throw await problem(r);
  return r;
}

async function json<T>(url: string, signal?: AbortSignal): Promise<T> {
  const r = await get(url, { headers: { Accept: "application/json" }, signal: signal ?? null });
  return (await r.json()) as T;
}

/** Sends JSON and reads the JSON that comes back. */
export async function post<T>(url: string, body: unknown, method: "POST" | "PUT" = "POST"): Promise<T> {
  const r = await get(url, { method, headers: { Accept: "application/json", "Content-Type": "application/json" }, body: JSON.stringify(body) });
  return (await r.json()) as T;
}

const camera = (id: string) => `/api/cameras/${encodeURIComponent(id)}`;

function query(params: Record<string, string | number>): string {
  return "?" + new URLSearchParams(Object.entries(params).map(([k, v]) => [k, typeof v === "number" ? String(Math.round(v)) : v]));
}

/** Where a device stands on its site's floor plan: parts of its width and height, degrees clockwise from up. */
export interface Placement {
  x: number;
  y: number;
  heading: number;
  angle: number;
  reach: number;
}

export function place(device: string, p: Placement): Promise<Placement> {
  return post<Placement>(`/api/estate/devices/${encodeURIComponent(device)}/placement`, p, "PUT");
}

export function cameras(): Promise<Camera[]> {
  return json("/api/cameras");
}

export function timeline(id: string, stream: string, from: number, to: number, signal?: AbortSignal): Promise<Timeline> {
  return json(`${camera(id)}/timeline${query({ stream, from, to })}`, signal);
}

export function segments(id: string, stream: string, from: number, to: number): Promise<Segment[]> {
  return json(`${camera(id)}/segments${query({ stream, from, to })}`);
}

/** The day's identity, sealed to the readers. */
export async function dayKey(id: string, day: string): Promise<Uint8Array> {
  const r = await get(`${camera(id)}/days/${encodeURIComponent(day)}/key`);
  return new Uint8Array(await r.arrayBuffer());
}

/**
 * Yields sealed bytes [from, to) as they arrive. Ciphertext is not left to the
 * browser's cache: that lets only one request at a time use a file, and what
 * was opened is kept by the worker anyway.
 */
export async function* range(url: string, from: number, to: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const r = await get(url, { headers: { Range: `bytes=${from}-${to - 1}` }, cache: "no-store", signal: signal ?? null });
  if (r.status !== 206 && from !== 0) throw new Problem(r.status, "the server sent no range", "");
  const reader = r.body!.getReader();
  let left = to - from;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value.length > left ? value.subarray(0, left) : value;
      left -= value.length;
      if (left <= 0) return;
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

export function live(id: string, stream: string, can: string[], signal?: AbortSignal): Promise<LiveChoice> {
  return json(`${camera(id)}/live${query({ stream, can: can.join(",") })}`, signal);
}

/** Sends a WebRTC offer; the answer comes with the address that ends the call. */
export async function whep(url: string, offer: string, signal?: AbortSignal): Promise<{ answer: string; location: string }> {
  const r = await get(url, { method: "POST", headers: { "Content-Type": "application/sdp" }, body: offer, signal: signal ?? null });
  return { answer: await r.text(), location: r.headers.get("Location") ?? "" };
}

export function whepEnd(location: string): void {
  if (location) fetch(location, { method: "DELETE", credentials: "same-origin", keepalive: true }).catch(() => undefined);
}

export function liveSocket(id: string, stream: string): WebSocket {
  const url = new URL(`${camera(id)}/live/${encodeURIComponent(stream)}/socket`, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const s = new WebSocket(url);
  s.binaryType = "arraybuffer";
  return s;
}

export interface ServerEvents {
  camera: Camera;
  segment: { camera: string; stream: string; start: number; ms: number };
  health: unknown;
}

type Listener<K extends keyof ServerEvents> = (value: ServerEvents[K]) => void;

/**
 * One event stream for all the elements of a page. It is shut while the page
 * is hidden: over HTTP/1.1 a browser has six connections to a server, and
 * forgotten tabs would use them up.
 */
class EventHub {
  #listeners = new Map<string, Set<Listener<never>>>();
  #source: EventSource | null = null;
  #retry = 0;

  constructor() {
    document.addEventListener("visibilitychange", () => this.#update());
    addEventListener("pagehide", () => this.#close());
    addEventListener("pageshow", () => this.#update());
  }

  on<K extends keyof ServerEvents>(kind: K, f: Listener<K>): () => void {
    const set = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, set);
    set.add(f as Listener<never>);
    this.#update();
    return () => {
      set.delete(f as Listener<never>);
      this.#update();
    };
  }

  #update(): void {
    const wanted = !document.hidden && [...this.#listeners.values()].some((s) => s.size > 0);
    if (!wanted) this.#close();
    else if (!this.#source) this.#open();
  }

  #open(): void {
    const source = new EventSource("/api/events");
    this.#source = source;
    for (const kind of ["camera", "segment", "health"]) {
      source.addEventListener(kind, (e) => {
        this.#retry = 0;
        const value = JSON.parse((e as MessageEvent<string>).data) as never;
        for (const f of [...(this.#listeners.get(kind) ?? [])]) f(value);
      });
    }
    source.onerror = () => {
      // A browser gives up for good on an answer that is no event stream.
      if (source.readyState !== EventSource.CLOSED || this.#source !== source) return;
      this.#source = null;
      setTimeout(() => this.#update(), Math.min(30_000, 1000 * 2 ** this.#retry++));
    };
  }

  #close(): void {
    this.#source?.close();
    this.#source = null;
  }
}

let hub: EventHub | null = null;

export function on<K extends keyof ServerEvents>(kind: K, f: Listener<K>): () => void {
  hub ??= new EventHub();
  return hub.on(kind, f);
}
