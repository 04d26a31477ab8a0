// Making and naming elements, the little of it that the islands need.

type Child = Node | string | null | undefined | false;
type Attributes = Record<string, string | number | boolean | ((e: Event) => void) | null | undefined>;

/** Makes an element: attributes by name, listeners as on-something functions, true for an empty attribute. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) {
    if (v === null || v === undefined || v === false) continue;
    if (typeof v === "function") e.addEventListener(k.replace(/^on/, ""), v);
    else e.setAttribute(k, v === true ? "" : String(v));
  }
  e.append(...children.filter((c): c is Node | string => c !== null && c !== undefined && c !== false));
  return e;
}

const svgNS = "http://www.w3.org/2000/svg";

// Drawn for this project on a grid of 24.
const paths = {
  play: "M7 4.5v15l12-7.5z",
  pause: "M7 5h3.5v14H7zM13.5 5H17v14h-3.5z",
  forward: "M6 5v14l8-7zM16 5h2.5v14H16z",
  back: "M18 5v14l-8-7zM5.5 5H8v14H5.5z",
  mute: "M4 9v6h4l5 4V5L8 9zM16 9.5l5 5M21 9.5l-5 5",
  sound: "M4 9v6h4l5 4V5L8 9zM16 9a4 4 0 0 1 0 6M18.5 6.5a8 8 0 0 1 0 11",
  full: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  locked: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  unlocked: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 6.8-1.200",
  offline: "M4 4l16 16M9 6h8a2 2 0 0 1 2 2v6M15.5 18H6a2 2 0 0 1-2-2V8a2 2 0 0 1 1-1.7",
  zoomIn: "M11 5a6 6 0 1 0 .01 0zM15.5 15.5L20 20M8.5 11h5M11 8.5v5",
  zoomOut: "M11 5a6 6 0 1 0 .01 0zM15.5 15.5L20 20M8.5 11h5",
} as const;

export type IconName = keyof typeof paths;

export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(svgNS, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `ww-icon ww-icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const p = document.createElementNS(svgNS, "path");
  p.setAttribute("d", paths[name]);
  svg.append(p);
  return svg;
}

/** A button with an icon and a name for those who do not see it. */
export function iconButton(name: IconName, label: string, press: () => void): HTMLButtonElement {
  return h("button", { type: "button", class: "ww-button ww-icon-button", "aria-label": label, title: label, onclick: press }, icon(name));
}

export function relabel(b: HTMLButtonElement, name: IconName, label: string): void {
  if (b.getAttribute("aria-label") === label) return;
  b.setAttribute("aria-label", label);
  b.title = label;
  b.replaceChildren(icon(name));
}

export function show(e: HTMLElement, visible: boolean): void {
  if (e.hidden === visible) e.hidden = !visible;
}

export function say(e: HTMLElement, text: string): void {
  if (e.textContent !== text) e.textContent = text;
}

export const wait = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
    signal?.addEventListener("abort", done);
  });
