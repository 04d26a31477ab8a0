// <watch-plan editable><svg>…</svg></watch-plan>: a site's floor plan. The server
// has drawn it; here devices are moved and turned, by pointer and by keyboard.
// What the list below the plan says of a device follows.

import * as api from "./api";
import { h, say } from "./element";
import { t } from "./text";

const width = 1000; // of the drawing, whatever the picture's size
const grip = 12; // radius
const svgNS = "http://www.w3.org/2000/svg";

const round = (x: number, to: number): number => Math.round(x / to) * to;
const within = (x: number, least: number, most: number): number => Math.min(Math.max(x, least), most);

/** One device: its group in the drawing, and where it stands. */
class Spot {
  readonly at: api.Placement;
  readonly #grip = document.createElementNS(svgNS, "circle");
  #saving = 0;

  constructor(
    readonly group: SVGGElement,
    readonly height: number,
  ) {
    const of = (name: string) => Number(group.dataset[name]);
    this.at = { x: of("x"), y: of("y"), heading: of("heading"), angle: of("angle"), reach: of("reach") };
    this.#grip.setAttribute("class", "grip");
    this.#grip.setAttribute("r", String(grip));
    group.append(this.#grip);
    group.setAttribute("tabindex", "0");
    group.setAttribute("role", "button");
    this.draw();
  }

  get id(): string {
    return this.group.dataset.device ?? "";
  }

  get label(): string {
    const { x, y, heading, angle } = this.at;
    return t("plan.device", {
      name: this.group.dataset.name ?? "",
      x: (x * 100).toFixed(0),
      y: (y * 100).toFixed(0),
      heading: heading.toFixed(0),
      angle: angle.toFixed(0),
    });
  }

  draw(): void {
    const { x, y, heading, reach } = this.at;
    this.group.setAttribute("transform", `translate(${x * width} ${y * this.height}) rotate(${heading})`);
    this.group.querySelector("text")?.setAttribute("transform", `rotate(${-heading})`);
    this.group.querySelector(".cone")?.setAttribute("d", this.#cone());
    this.#grip.setAttribute("cy", String(-reach * width));
    this.group.setAttribute("aria-label", this.label);
  }

  #cone(): string {
    const r = this.at.reach * width;
    if (this.at.angle >= 359.5) return `M0 ${-r} A${r} ${r} 0 1 1 0 ${r} A${r} ${r} 0 1 1 0 ${-r} Z`;
    const half = (this.at.angle / 2) * (Math.PI / 180);
    const [x, y] = [r * Math.sin(half), -r * Math.cos(half)];
    return `M0 0 L${-x} ${y} A${r} ${r} 0 ${this.at.angle > 180 ? 1 : 0} 1 ${x} ${y} Z`;
  }

  move(x: number, y: number): void {
    this.at.x = round(within(x, 0, 1), 0.001);
    this.at.y = round(within(y, 0, 1), 0.001);
  }

  /** Points the cone at a place in the drawing, and lets it reach there. */
  point(x: number, y: number): void {
    const [dx, dy] = [x - this.at.x * width, y - this.at.y * this.height];
    this.turn(round((Math.atan2(dx, -dy) * 180) / Math.PI, 1) - this.at.heading);
    this.at.reach = round(within(Math.hypot(dx, dy) / width, 0.03, 1), 0.005);
  }

  turn(by: number): void {
    this.at.heading = (((this.at.heading + by) % 360) + 360) % 360;
  }

  key(e: KeyboardEvent): boolean {
    const step = e.altKey ? 0.001 : 0.01;
    const { x, y, reach, angle } = this.at;
    switch ((e.shiftKey ? "Shift+" : "") + e.key) {
      case "ArrowLeft":
        this.move(x - step, y);
        break;
      case "ArrowRight":
        this.move(x + step, y);
        break;
      case "ArrowUp":
        this.move(x, y - step);
        break;
      case "ArrowDown":
        this.move(x, y + step);
        break;
      case "Shift+ArrowLeft":
        this.turn(-5);
        break;
      case "Shift+ArrowRight":
        this.turn(5);
        break;
      case "Shift+ArrowUp":
        this.at.reach = round(within(reach + 0.01, 0.03, 1), 0.005);
        break;
      case "Shift+ArrowDown":
        this.at.reach = round(within(reach - 0.01, 0.03, 1), 0.005);
        break;
      case "+":
      case "Shift++":
      case "Shift+=":
        this.at.angle = within(angle + 5, 5, 360);
        break;
      case "-":
      case "Shift+_":
        this.at.angle = within(angle - 5, 5, 360);
        break;
      default:
        return false;
    }
    return true;
  }

  /** Stores where it stands, once it has stood still for a moment. */
  save(done: (ok: boolean) => void, after = 400): void {
    clearTimeout(this.#saving);
    this.#saving = window.setTimeout(() => {
      api.place(this.id, this.at).then(
        () => done(true),
        () => done(false),
      );
    }, after);
  }
}

export class WatchPlan extends HTMLElement {
  #svg: SVGSVGElement | null = null;
  #held: { spot: Spot; turns: boolean; dx: number; dy: number } | null = null;
  readonly #said = h("p", { class: "plan-said", role: "status" });

  connectedCallback(): void {
    this.#svg = this.querySelector("svg");
    if (!this.#svg || !this.hasAttribute("editable")) return;
    const height = this.#svg.viewBox.baseVal.height;
    for (const g of this.#svg.querySelectorAll<SVGGElement>("[data-device]")) this.#bring(new Spot(g, height));
    this.append(h("p", { class: "plan-help noprint" }, t("plan.help")), this.#said);
  }

  #bring(spot: Spot): void {
    const g = spot.group;
    g.addEventListener("keydown", (e) => {
      if (e.ctrlKey || e.metaKey || !spot.key(e)) return;
      e.preventDefault();
      this.#changed(spot);
    });
    g.addEventListener("pointerdown", (e) => {
      if (e.button !== 0) return;
      const [x, y] = this.#place(e);
      const turns = (e.target as Element).classList.contains("grip");
      this.#held = { spot, turns, dx: spot.at.x * width - x, dy: spot.at.y * spot.height - y };
      g.classList.add("held");
      g.setPointerCapture(e.pointerId);
      g.focus({ preventScroll: true });
      e.preventDefault();
    });
    g.addEventListener("pointermove", (e) => {
      const held = this.#held;
      if (held?.spot !== spot) return;
      const [x, y] = this.#place(e);
      if (held.turns) spot.point(x, y);
      else spot.move((x + held.dx) / width, (y + held.dy) / spot.height);
      spot.draw();
    });
    for (const end of ["pointerup", "pointercancel"] as const) {
      g.addEventListener(end, () => {
        g.classList.remove("held");
        if (this.#held?.spot !== spot) return;
        this.#held = null;
        this.#changed(spot, 0);
      });
    }
    g.addEventListener("touchstart", (e) => e.preventDefault(), { passive: false }); // the page stays still under the finger
  }

  /** Where a pointer is in the drawing. */
  #place(e: PointerEvent): [number, number] {
    const box = this.#svg?.getBoundingClientRect();
    if (!box || box.width === 0) return [0, 0];
    const scale = width / box.width;
    return [(e.clientX - box.left) * scale, (e.clientY - box.top) * scale];
  }

  #changed(spot: Spot, after?: number): void {
    spot.draw();
    this.#list(spot);
    say(this.#said, spot.label);
    spot.save((ok) => say(this.#said, `${spot.label}. ${t(ok ? "plan.saved" : "plan.failed")}`), after);
  }

  /** The form below the plan says the same. */
  #list(spot: Spot): void {
    const form = document.querySelector<HTMLFormElement>(`form[data-for="${CSS.escape(spot.id)}"]`);
    const { x, y, heading, angle, reach } = spot.at;
    const texts: Record<string, string> = {
      x: (x * 100).toFixed(1),
      y: (y * 100).toFixed(1),
      heading: heading.toFixed(0),
      angle: angle.toFixed(0),
      reach: (reach * 100).toFixed(1),
    };
    for (const [name, text] of Object.entries(texts)) {
      const input = form?.elements.namedItem(name);
      if (input instanceof HTMLInputElement) input.value = text;
    }
  }
}
