// Live pictures of one stream: WebRTC first, fMP4 over a WebSocket where that
// brings no frame, single pictures where the camera sends nothing else.

import * as api from "./api";
import { h, show, wait } from "./element";

export type LiveWay = "webrtc" | "fmp4" | "pictures" | "none";

export interface LiveState {
  phase: "connecting" | "playing" | "offline";
  way: LiveWay;
  /** Codes of the server or ours, "" where there is nothing to say. */
  why: string;
  stream: string;
}

/** WebRTC gets this long to show a frame, then the socket is tried. */
const patience = 1500;
/** Frames that stop for this long mean that the connection is to be made anew. */
const silence = 8000;
const maxLag = 1.2;

/** What this browser can take, in the words of the live door. */
export function capabilities(): string[] {
  const can: string[] = [];
  const mse = (codec: string) => "MediaSource" in globalThis && MediaSource.isTypeSupported(`video/mp4; codecs="${codec}"`);
  const rtc = "RTCRtpReceiver" in globalThis ? (RTCRtpReceiver.getCapabilities("video")?.codecs ?? []) : [];
  if (rtc.some((c) => c.mimeType.toLowerCase() === "video/h264")) can.push("webrtc");
  if (mse("avc1.64001f")) can.push("h264");
  if (mse("hvc1.1.6.L93.B0")) can.push("h265");
  if (mse("mp4a.40.2")) can.push("aac");
  if (mse("opus")) can.push("opus");
  return can;
}

/** Shows a stream in its video or canvas element until stopped; connects again by itself. */
export class LiveView {
  readonly video = h("video", { playsinline: true, muted: true, class: "ww-picture" });
  readonly canvas = h("canvas", { class: "ww-picture", hidden: true });
  #control: AbortController | null = null;
  #state: LiveState = { phase: "connecting", way: "none", why: "", stream: "" };
  #lastFrame = 0;
  #frames = 0;
  /** WebRTC was tried here and brought nothing. */
  #noRTC = false;

  constructor(
    readonly camera: string,
    readonly stream: string,
    private readonly changed: (s: LiveState) => void,
    /** Nobody will want to hear it, as on a wall of many. */
    private readonly silent = false,
  ) {
    this.video.muted = true;
    this.video.autoplay = true;
    this.video.disableRemotePlayback = true;
    this.#watchFrames();
  }

  get state(): LiveState {
    return this.#state;
  }

  get frames(): number {
    return this.#frames;
  }

  get running(): boolean {
    return this.#control !== null;
  }

  start(): void {
    if (this.#control) return;
    this.#control = new AbortController();
    void this.#run(this.#control.signal);
  }

  stop(): void {
    this.#control?.abort();
    this.#control = null;
    this.video.srcObject = null;
    this.video.removeAttribute("src");
    this.video.load();
  }

  #set(s: Partial<LiveState>): void {
    this.#state = { ...this.#state, ...s };
    this.changed(this.#state);
  }

  async #run(signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      const began = this.#frames;
      try {
        await this.#once(signal);
      } catch {
        // what went wrong is for the server's log; here it means: try again
      }
      if (signal.aborted) return;
      failures = this.#frames > began ? 0 : failures + 1;
      if (this.#state.phase !== "offline") this.#set({ phase: "connecting" });
      await wait(Math.min(15_000, 400 * 2 ** failures) * (0.75 + Math.random() / 2), signal);
    }
  }

  async #once(signal: AbortSignal): Promise<void> {
    const can = capabilities().filter((c) => !this.#noRTC || c !== "webrtc");
    if (this.silent) can.push("mute");
    const choice = await api.live(this.camera, this.stream, can, signal);
    this.#set({ phase: "connecting", way: choice.way, why: choice.why, stream: choice.stream });
    switch (choice.way) {
      case "none":
        this.#set({ phase: "offline" });
        return;
      case "webrtc":
        if (await this.#webrtc(choice, signal)) return;
        this.#noRTC = true;
        this.#set({ way: "fmp4", why: choice.why || "webrtc-blocked" });
        return this.#socket(choice.stream, signal);
      default:
        return this.#socket(choice.stream, signal);
    }
  }

  /** Notes every frame that is shown; rVFC where the browser has it. */
  #watchFrames(): void {
    const frame = () => {
      this.#frame();
      this.video.requestVideoFrameCallback(frame);
    };
    if ("requestVideoFrameCallback" in this.video) this.video.requestVideoFrameCallback(frame);
    else (this.video as HTMLVideoElement).addEventListener("timeupdate", () => this.#frame());
  }

  #frame(): void {
    this.#frames++;
    this.#lastFrame = performance.now();
    if (this.#frames === 1) performance.mark("watch:live", { detail: { camera: this.camera, way: this.#state.way } });
    if (this.#control && this.#state.phase !== "playing") this.#set({ phase: "playing" });
  }

  #surface(pictures: boolean): void {
    show(this.video, !pictures);
    show(this.canvas, pictures);
  }

  /** Waits until frames stop coming; false where none came in time. */
  async #flow(signal: AbortSignal, firstWithin: number, lost: () => boolean): Promise<boolean> {
    const began = performance.now();
    this.#lastFrame = 0;
    while (!signal.aborted && !lost()) {
      await wait(100, signal);
      const now = performance.now();
      if (document.hidden) continue; // hidden pages present no frames
      if (this.#lastFrame === 0 && now - began > firstWithin) return false;
      if (this.#lastFrame > 0 && now - this.#lastFrame > silence) return true;
    }
    return this.#lastFrame > 0;
  }

  async #webrtc(choice: api.LiveChoice, signal: AbortSignal): Promise<boolean> {
    const pc = new RTCPeerConnection();
    let place = "";
    this.#surface(false);
    try {
      pc.addTransceiver("video", { direction: "recvonly" });
      if (!this.silent) pc.addTransceiver("audio", { direction: "recvonly" });
      const media = new MediaStream();
      pc.ontrack = (e) => {
        // A picture that is late is worth less than one that is not smooth.
        if ("jitterBufferTarget" in e.receiver) (e.receiver as { jitterBufferTarget: number | null }).jitterBufferTarget = 0;
        media.addTrack(e.track);
        if (this.video.srcObject !== media) this.video.srcObject = media;
        this.video.play().catch(() => undefined);
      };
      await pc.setLocalDescription(await pc.createOffer());
      await gathered(pc, signal);
      const url = choice.url || `/api/cameras/${encodeURIComponent(this.camera)}/live/${encodeURIComponent(choice.stream)}/whep`;
      const { answer, location } = await api.whep(url, pc.localDescription!.sdp, signal);
      place = location;
      if (signal.aborted) return true;
      await pc.setRemoteDescription({ type: "answer", sdp: answer });
      return await this.#flow(signal, patience, () => pc.connectionState === "failed" || pc.connectionState === "closed");
    } catch {
      return signal.aborted;
    } finally {
      pc.close();
      api.whepEnd(place);
      this.video.srcObject = null;
    }
  }

  async #socket(stream: string, signal: AbortSignal): Promise<void> {
    const socket = api.liveSocket(this.camera, stream);
    let sink: Sink | null = null;
    let closed = false;
    socket.onclose = socket.onerror = () => (closed = true);
    socket.onmessage = (e: MessageEvent<string | ArrayBuffer>) => {
      if (typeof e.data !== "string") {
        sink?.push(e.data);
        return;
      }
      const m = JSON.parse(e.data) as { kind: string; codecs?: string };
      if (m.kind === "pictures") {
        this.#surface(true);
        this.#set({ way: "pictures" });
        sink?.close();
        sink = new Pictures(this.canvas, () => this.#frame());
      } else if (m.kind === "fmp4") {
        const type = `video/mp4; codecs="${m.codecs ?? ""}"`;
        this.#surface(false);
        if (!("MediaSource" in globalThis) || !MediaSource.isTypeSupported(type)) {
          this.#set({ phase: "offline", why: "no-codec" });
          closed = true;
          return;
        }
        this.#set({ way: "fmp4" });
        if (sink instanceof Fragments) sink.change(type);
        else sink = new Fragments(this.video, type, () => (closed = true));
      }
    };
    try {
      await this.#flow(signal, 10_000, () => closed);
    } finally {
      socket.onmessage = socket.onclose = null;
      socket.close();
      (sink as Sink | null)?.close();
    }
  }
}

/** Candidates of this machine only: they are there at once. */
function gathered(pc: RTCPeerConnection, signal: AbortSignal): Promise<void> {
  const done = new Promise<void>((resolve) => {
    if (pc.iceGatheringState === "complete") resolve();
    pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && resolve();
  });
  return Promise.race([done, wait(400, signal)]);
}

interface Sink {
  push(data: ArrayBuffer): void;
  close(): void;
}

/** fMP4 into Media Source Extensions, kept near its live edge. */
class Fragments implements Sink {
  #source = new MediaSource();
  #buffer: SourceBuffer | null = null;
  #queue: ArrayBuffer[] = [];
  #type: string;
  #changeTo = "";
  #url: string;

  constructor(
    private readonly video: HTMLVideoElement,
    type: string,
    private readonly broken: () => void,
  ) {
    this.#type = type;
    this.#url = URL.createObjectURL(this.#source);
    this.#source.onsourceopen = () => {
      URL.revokeObjectURL(this.#url);
      this.#buffer = this.#source.addSourceBuffer(this.#type);
      this.#buffer.onupdateend = () => this.#next();
      this.#buffer.onerror = () => this.broken();
      this.#next();
    };
    video.srcObject = null;
    video.src = this.#url;
    video.play().catch(() => undefined);
  }

  push(data: ArrayBuffer): void {
    this.#queue.push(data);
    // A page that was asleep does not catch up on all it missed.
    if (this.#queue.length > 500) this.broken();
    this.#next();
  }

  change(type: string): void {
    // What is queued belongs to the old parameters, and the new init comes next.
    this.#queue = [];
    this.#changeTo = type;
  }

  close(): void {
    if (this.video.src === this.#url) {
      this.video.removeAttribute("src");
      this.video.load();
    }
  }

  #next(): void {
    const b = this.#buffer;
    if (!b || b.updating || this.#source.readyState !== "open") return;
    try {
      if (this.#edge(b)) return;
      if (this.#changeTo && this.#queue.length > 0) {
        b.abort();
        b.changeType(this.#changeTo);
        this.#changeTo = "";
      }
      const data = this.#queue.length > 1 && !this.#changeTo ? concat(this.#queue.splice(0)) : this.#queue.shift();
      if (data) b.appendBuffer(data);
    } catch {
      this.broken();
    }
  }

  /** Stays near the newest picture and drops what is past; true where a removal began. */
  #edge(b: SourceBuffer): boolean {
    const n = b.buffered.length;
    if (n === 0) return false;
    const v = this.video;
    const end = b.buffered.end(n - 1);
    const lag = end - v.currentTime;
    if (lag > maxLag || lag < 0 || v.currentTime < b.buffered.start(n - 1)) v.currentTime = Math.max(b.buffered.start(n - 1), end - 0.15);
    v.playbackRate = lag > 0.6 ? 1.1 : 1;
    if (v.paused) v.play().catch(() => undefined);
    const start = b.buffered.start(0);
    if (v.currentTime - start < 12) return false;
    b.remove(start, v.currentTime - 5);
    return true;
  }
}

function concat(list: ArrayBuffer[]): ArrayBuffer {
  const all = new Uint8Array(list.reduce((n, b) => n + b.byteLength, 0));
  let at = 0;
  for (const b of list) {
    all.set(new Uint8Array(b), at);
    at += b.byteLength;
  }
  return all.buffer;
}

/** JPEGs onto a canvas; one that comes while another is being decoded replaces those that wait. */
class Pictures implements Sink {
  #busy = false;
  #waiting: ArrayBuffer | null = null;
  #closed = false;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly shown: () => void,
  ) {}

  push(data: ArrayBuffer): void {
    this.#waiting = data;
    if (!this.#busy) void this.#draw();
  }

  close(): void {
    this.#closed = true;
  }

  async #draw(): Promise<void> {
    this.#busy = true;
    while (this.#waiting && !this.#closed) {
      const data = this.#waiting;
      this.#waiting = null;
      try {
        const picture = await createImageBitmap(new Blob([data], { type: "image/jpeg" }));
        if (this.canvas.width !== picture.width) this.canvas.width = picture.width;
        if (this.canvas.height !== picture.height) this.canvas.height = picture.height;
        this.canvas.getContext("2d")?.drawImage(picture, 0, 0);
        picture.close();
        this.shown();
      } catch {
        // a picture that does not decode is skipped
      }
    }
    this.#busy = false;
  }
}
