// <watch-tile camera stream name href>: one live picture on the wall.

import * as api from "./api";
import { h, icon, say, show } from "./element";
import { type LiveState, LiveView } from "./live";
import { coded, span, t } from "./text";

let known: Promise<Map<string, api.Camera>> | null = null;

/** All tiles of a page ask for the cameras once. */
function cameraNow(id: string): Promise<api.Camera | undefined> {
  known ??= api.cameras().then((list) => new Map(list.map((c) => [c.id, c])));
  known.catch(() => (known = null));
  return known.then((m) => m.get(id));
}

export class WatchTile extends HTMLElement {
  #view: LiveView | null = null;
  #seen = false;
  #observer: IntersectionObserver | null = null;
  #unhear: (() => void) | null = null;
  #clock = 0;
  #info: api.StreamInfo | null = null;
  #state: LiveState | null = null;

  readonly #chip = h("span", { class: "ww-chip" });
  readonly #why = h("span", { class: "ww-why", hidden: true });
  readonly #title = h("span", { class: "ww-name" });
  readonly #offline = h("div", { class: "ww-offline", hidden: true });
  readonly #reason = h("span", { class: "ww-reason" });
  readonly #since = h("span", { class: "ww-since" });
  readonly #skeleton = h("div", { class: "ww-skeleton", "aria-hidden": "true" });

  get camera(): string {
    return this.getAttribute("camera") ?? "";
  }

  get stream(): string {
    return this.getAttribute("stream") ?? "sub";
  }

  connectedCallback(): void {
    const name = this.getAttribute("name") || this.camera;
    this.#view = new LiveView(this.camera, this.stream, (s) => this.#live(s), true);
    this.#title.textContent = name;
    this.#offline.replaceChildren(icon("offline"), this.#reason, this.#since);
    this.replaceChildren(
      this.#skeleton,
      this.#view.video,
      this.#view.canvas,
      this.#offline,
      h("div", { class: "ww-caption" }, this.#title, this.#why, this.#chip),
    );
    this.#asLink(name);
    this.#live(this.#view.state);
    this.#observer = new IntersectionObserver((entries) => {
      this.#seen = entries.at(-1)?.isIntersecting ?? false;
      this.#update();
    });
    this.#observer.observe(this);
    document.addEventListener("visibilitychange", this.#update);
    this.#unhear = api.on("camera", (c) => c.id === this.camera && this.#told(c));
    cameraNow(this.camera).then(
      (c) => c && this.#told(c),
      () => undefined,
    );
    this.#clock = window.setInterval(() => this.#words(), 1000);
  }

  disconnectedCallback(): void {
    this.#observer?.disconnect();
    document.removeEventListener("visibilitychange", this.#update);
    this.#unhear?.();
    clearInterval(this.#clock);
    this.#view?.stop();
    this.#view = null;
  }

  /** Outside a link, the tile is one: click or Enter open the camera. */
  #asLink(name: string): void {
    if (this.closest("a")) return;
    this.tabIndex = 0;
    this.setAttribute("role", "link");
    this.setAttribute("aria-label", t("tile.open", { name }));
    const go = () => location.assign(this.getAttribute("href") || `/cameras/${encodeURIComponent(this.camera)}`);
    this.onclick = go;
    this.onkeydown = (e) => {
      if (e.key === "Enter") go(); // and returns nothing: false would stop the Tab key
    };
  }

  /** Nobody looks: nothing is asked for. */
  readonly #update = (): void => {
    if (this.#seen && !document.hidden) this.#view?.start();
    else this.#view?.stop();
  };

  #told(c: api.Camera): void {
    this.#info = c.streams.find((s) => s.name === (this.#state?.stream || this.stream)) ?? c.streams[0] ?? null;
    this.#words();
  }

  #live(s: LiveState): void {
    this.#state = s;
    this.dataset.phase = s.phase;
    this.dataset.way = s.way;
    this.#words();
  }

  #words(): void {
    const s = this.#state;
    if (!s) return;
    // What the server knows of the camera says more than that no frame came.
    const down = s.phase !== "playing" && (s.phase === "offline" || (this.#info !== null && this.#info.state !== "live"));
    show(this.#offline, down);
    show(this.#skeleton, s.phase === "connecting" && !down);
    if (down) {
      const reason = this.#info?.reason || (s.why === "offline" ? "" : s.why);
      say(this.#reason, reason ? coded(this.#info?.reason ? "reason" : "why", reason) : t("tile.offline"));
      say(this.#since, this.#info?.since ? t("tile.since", { span: span(Date.now() - this.#info.since) }) : "");
    }
    say(this.#chip, down ? t("tile.offline") : s.phase === "playing" ? t(`way.${s.way}`) : t("tile.connecting"));
    const why = s.why && s.why !== "offline" && !down ? coded("why", s.why) : "";
    say(this.#why, why);
    show(this.#why, why !== "");
  }
}
