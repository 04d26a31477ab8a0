// <watch-refresh id live>: a part of a page that follows what the server has to
// say, as long as it is live: a scan's progress. It asks for the page again and
// takes over its own part; when that is no longer live, the whole page is new.

import { wait } from "./element";

const every = 1500; // ms

export class WatchRefresh extends HTMLElement {
  #leaving: AbortController | null = null;

  connectedCallback(): void {
    if (!this.hasAttribute("live")) return;
    this.#leaving = new AbortController();
    void this.#follow(this.#leaving.signal);
  }

  disconnectedCallback(): void {
    this.#leaving?.abort();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    for (;;) {
      await wait(every, signal);
      if (signal.aborted) return;
      if (document.hidden) continue;
      try {
        const r = await fetch(location.href, { credentials: "same-origin", signal, headers: { Accept: "text/html" } });
        const next = r.ok ? new DOMParser().parseFromString(await r.text(), "text/html").getElementById(this.id) : null;
        if (!next) continue; // a server that starts anew; or nobody is logged in any more, which the next click says
        if (!next.hasAttribute("live")) return location.reload();
        this.#take(next);
      } catch {
        // The network is gone: what is shown stays, and the next time tells.
      }
    }
  }

  /** Whoever is at a link of this part stays there. */
  #take(next: HTMLElement): void {
    const at = document.activeElement instanceof HTMLAnchorElement && this.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    this.replaceChildren(...next.childNodes);
    if (at) this.querySelector<HTMLElement>(`a[href="${CSS.escape(at)}"]`)?.focus({ preventScroll: true });
  }
}
