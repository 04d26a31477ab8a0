// <watch-identity mode="unlock|setup|button">: the reader's identity, made or
// taken up in this browser. It goes from here to the worker and nowhere else.

import { Failure } from "./bridge";
import { ask } from "./client";
import { h, icon, say, show } from "./element";
import { type Kept, keyring, makePasskey, passkeysMayWork, usePasskey } from "./keyring";
import { dateTime, t } from "./text";

let serial = 0;

export class WatchIdentity extends HTMLElement {
  connectedCallback(): void {
    if (this.childElementCount > 0 && this.dataset.ready) return;
    this.dataset.ready = "";
    const mode = this.getAttribute("mode") ?? "unlock";
    if (mode === "setup") void new Setup(this).start();
    else if (mode === "button") this.#button();
    else void new Unlock(this).start();
  }

  disconnectedCallback(): void {
    this.dispatchEvent(new Event("gone"));
  }

  /** A small switch that shows whether recordings can be opened here, and locks them. */
  #button(): void {
    const text = h("span", {});
    const button = h("button", { type: "button", class: "ww-button ww-key-button" });
    const draw = () => {
      const open = keyring.unlocked;
      button.replaceChildren(icon(open ? "unlocked" : "locked"), text);
      say(text, t(open ? "identity.lock" : "identity.unlock"));
      button.title = t(open ? "identity.lock.hint" : "identity.unlock.hint");
      this.dataset.state = open ? "unlocked" : "locked";
    };
    button.onclick = () => (keyring.unlocked ? void keyring.lock() : openDialog());
    this.replaceChildren(button);
    keyring.addEventListener("change", draw);
    this.addEventListener("gone", () => keyring.removeEventListener("change", draw), { once: true });
    draw();
    void keyring.ready().then(draw);
  }
}

/** The unlock form in a dialog of its own, for pages without a player. */
export function openDialog(): void {
  const form = h("watch-identity" as "div", { mode: "unlock" });
  const dialog = h("dialog", { class: "ww-dialog", "aria-label": t("identity.title") }, form);
  const close = h("button", { type: "button", class: "ww-button", onclick: () => dialog.close() }, t("identity.cancel"));
  dialog.append(close);
  const done = () => keyring.unlocked && dialog.close();
  keyring.addEventListener("change", done);
  dialog.addEventListener("close", () => {
    keyring.removeEventListener("change", done);
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
}

function words(e: unknown): string {
  if (e instanceof DOMException) return t("identity.passkey.no");
  if (!(e instanceof Failure)) return t("failure.internal");
  switch (e.code) {
    case "not-a-key":
      return t("failure.not-a-key");
    case "wrong-passphrase":
      return t("failure.wrong-passphrase");
    case "cancelled":
      return t("identity.passkey.no");
    default:
      return t("failure.internal");
  }
}

class Unlock {
  readonly #error = h("p", { class: "ww-error", role: "alert", hidden: true });
  readonly #body = h("div", { class: "ww-identity-body" });

  constructor(private readonly host: HTMLElement) {}

  async start(): Promise<void> {
    this.host.replaceChildren(
      h("div", { class: "ww-identity" }, h("h3", {}, icon("locked"), t("identity.title")), h("p", { class: "ww-hint" }, t("identity.explain")), this.#error, this.#body),
    );
    const kept = await keyring.kept();
    if (kept) this.#askKept(kept);
    else this.#askKey();
  }

  async #try(f: () => Promise<void>): Promise<void> {
    show(this.#error, false);
    this.host.toggleAttribute("aria-busy", true);
    try {
      await f();
    } catch (e) {
      say(this.#error, words(e));
      show(this.#error, true);
    } finally {
      this.host.toggleAttribute("aria-busy", false);
    }
  }

  #askKept(kept: Kept): void {
    const other = h("button", { type: "button", class: "ww-button", onclick: () => this.#askKey() }, t("identity.other"));
    const forget = h("button", { type: "button", class: "ww-button", onclick: () => void keyring.forgetKept().then(() => this.#askKey()) }, t("identity.forget"));
    if (kept.way === "passkey") {
      const use = async () => keyring.unwrap(kept, await usePasskey(kept.credential ?? new Uint8Array()));
      this.#body.replaceChildren(h("div", { class: "ww-row" }, h("button", { type: "button", class: "ww-button ww-primary", onclick: () => void this.#try(use) }, t("identity.passkey.use")), other, forget));
      return;
    }
    const input = h("input", { type: "password", autocomplete: "current-password", required: true, class: "ww-input" });
    const form = h("form", {}, h("label", { class: "ww-label" }, t("identity.passphrase"), input), h("div", { class: "ww-row" }, h("button", { class: "ww-button ww-primary" }, t("identity.open")), other, forget));
    form.onsubmit = (e) => {
      e.preventDefault();
      void this.#try(() => keyring.unwrap(kept, input.value));
    };
    this.#body.replaceChildren(form);
    input.focus({ preventScroll: true });
  }

  #askKey(): void {
    const file = h("input", { type: "file", accept: ".txt,.key,text/plain", class: "ww-input" });
    const text = h("textarea", { rows: 2, class: "ww-input ww-mono", autocomplete: "off", spellcheck: "false", placeholder: "AGE-SECRET-KEY-PQ-1…" });
    const keep = this.#keepChoice();
    const form = h(
      "form",
      {},
      h("label", { class: "ww-label" }, t("identity.file"), file),
      h("label", { class: "ww-label" }, t("identity.paste"), text),
      keep.node,
      h("div", { class: "ww-row" }, h("button", { class: "ww-button ww-primary" }, t("identity.open"))),
    );
    const open = async () => {
      const chosen = file.files?.[0];
      const key = chosen ? await chosen.slice(0, 64 << 10).text() : text.value;
      await keyring.unlock(key);
      text.value = "";
      await keep.apply();
    };
    file.onchange = () => keep.chosen() === "no" && void this.#try(open);
    form.onsubmit = (e) => {
      e.preventDefault();
      void this.#try(open);
    };
    this.#body.replaceChildren(form);
  }

  /** Whether the identity stays in this browser beyond the session, and under what. */
  #keepChoice(): { node: HTMLElement; chosen(): string; apply(): Promise<void> } {
    const choice = h("select", { class: "ww-select" }, h("option", { value: "no" }, t("identity.keep.no")), h("option", { value: "passphrase" }, t("identity.keep.passphrase")));
    if (passkeysMayWork()) choice.append(h("option", { value: "passkey" }, t("identity.keep.passkey")));
    const pass = h("input", { type: "password", autocomplete: "new-password", minlength: 10, class: "ww-input" });
    const passLabel = h("label", { class: "ww-label", hidden: true }, t("identity.passphrase.new"), pass);
    choice.onchange = () => {
      show(passLabel, choice.value === "passphrase");
      pass.required = choice.value === "passphrase";
    };
    return {
      node: h("div", {}, h("label", { class: "ww-label" }, t("identity.keep"), choice), passLabel),
      chosen: () => choice.value,
      apply: async () => {
        if (choice.value === "passphrase") await keyring.keep("passphrase", pass.value);
        if (choice.value === "passkey") {
          const p = await makePasskey("Watchward");
          await keyring.keep("passkey", p.secret, p.credential);
        }
      },
    };
  }
}

/** Groups of a key, as one would type them from paper. */
export function grouped(identity: string): string[] {
  return identity.match(/.{1,6}/g) ?? [];
}

/** The identity file as age-keygen writes it. */
export function identityFile(identity: string, recipient: string, made: Date): string {
  return `# created: ${made.toISOString().replace(/\.\d+/, "")}\n# public key: ${recipient}\n${identity}\n`;
}

/** Makes the archive's first identity; only its recipient goes into the page's form. */
class Setup {
  #saved = false;

  constructor(private readonly host: HTMLElement) {}

  async start(): Promise<void> {
    const submit = this.#submit();
    if (submit) submit.disabled = true;
    this.host.replaceChildren(h("p", { class: "ww-hint", role: "status" }, t("setup.making")));
    try {
      this.#show(await ask<"generate">({ op: "generate" }));
    } catch {
      this.host.replaceChildren(h("p", { class: "ww-error", role: "alert" }, t("failure.internal")));
    }
  }

  #submit(): HTMLButtonElement | null {
    return this.host.closest("form")?.querySelector<HTMLButtonElement>("button[type=submit], button:not([type])") ?? null;
  }

  #show(key: { identity: string; recipient: string }): void {
    const form = this.host.closest("form");
    let hidden = form?.querySelector<HTMLInputElement>("input[name=recipient]") ?? null;
    if (!hidden) {
      hidden = h("input", { type: "hidden", name: "recipient" });
      this.host.after(hidden);
    }
    hidden.value = key.recipient;
    const made = new Date();
    const id = `ww-kept-${++serial}`;
    const tick = h("input", { type: "checkbox", id, required: true, disabled: true });
    const hint = h("p", { class: "ww-hint" }, t("setup.first"));
    tick.onchange = () => {
      const submit = this.#submit();
      if (submit) submit.disabled = !tick.checked;
      // The new key opens recordings in this browser for the session at once.
      if (tick.checked) void keyring.unlock(key.identity).catch(() => undefined);
    };
    const done = () => {
      this.#saved = true;
      tick.disabled = false;
      show(hint, !this.#saved);
    };
    const save = h("button", { type: "button", class: "ww-button ww-primary", onclick: () => (this.#download(key, made), done()) }, t("setup.download"));
    const print = h("button", { type: "button", class: "ww-button", onclick: () => (printSheet(key, made), done()) }, t("setup.print"));
    this.host.replaceChildren(
      h(
        "div",
        { class: "ww-identity" },
        h("p", {}, t("setup.explain")),
        h("p", { class: "ww-warn" }, t("setup.warning")),
        h("details", {}, h("summary", {}, t("setup.recipient")), h("code", { class: "ww-recipient" }, key.recipient)),
        h("div", { class: "ww-row" }, save, print),
        hint,
        h("label", { class: "ww-check", for: id }, tick, t("setup.kept")),
      ),
    );
  }

  #download(key: { identity: string; recipient: string }, made: Date): void {
    const url = URL.createObjectURL(new Blob([identityFile(key.identity, key.recipient, made)], { type: "text/plain" }));
    const a = h("a", { href: url, download: `watchward-identity-${made.toISOString().slice(0, 10)}.txt` });
    a.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }
}

/** A sheet for the safe: printed from the page itself, which shows nothing else meanwhile. */
function printSheet(key: { identity: string; recipient: string }, made: Date): void {
  const sheet = h(
    "section",
    { class: "ww-sheet" },
    h("h1", {}, t("sheet.title")),
    h("p", {}, t("sheet.what", { host: location.host, date: dateTime(made.getTime()) })),
    h("p", {}, t("sheet.warn")),
    h("h2", {}, t("sheet.key")),
    h("p", { class: "ww-sheet-key" }, ...grouped(key.identity).map((g) => h("span", {}, g))),
    h("h2", {}, t("sheet.use")),
    h("p", {}, t("sheet.how")),
    h("h2", {}, t("setup.recipient")),
    h("p", { class: "ww-sheet-recipient" }, `${key.recipient.slice(0, 40)} … ${key.recipient.slice(-20)}`),
  );
  document.body.append(sheet);
  document.documentElement.classList.add("ww-printing");
  const clean = () => {
    document.documentElement.classList.remove("ww-printing");
    sheet.remove();
  };
  addEventListener("afterprint", clean, { once: true });
  print();
}
