// <watch-passkey>: the browser's half of adding a passkey and of logging in with
// one. Without script, or in a browser that has none, it stays empty: the
// password is always there.

import { post, Problem } from "./api";
import { h, say, show } from "./element";
import { t } from "./text";

interface Question {
  ceremony: string;
  options: unknown;
}

/** What browsers since 2024 do themselves; older ones are not offered a passkey. */
interface FromJSON {
  parseCreationOptionsFromJSON?(o: unknown): PublicKeyCredentialCreationOptions;
  parseRequestOptionsFromJSON?(o: unknown): PublicKeyCredentialRequestOptions;
}

const known: FromJSON | undefined = window.PublicKeyCredential as unknown as FromJSON | undefined;

/** Passkeys are bound to a name: at an IP address browsers have none. */
const named = !/^(\[.*\]|[\d.]+)$/.test(location.hostname);

export class WatchPasskey extends HTMLElement {
  private note = h("p", { class: "notice bad", role: "alert" });
  private name = h("input", { maxlength: 64, autocomplete: "off" });

  connectedCallback(): void {
    if (this.firstChild) return;
    const adds = this.getAttribute("mode") === "add";
    if (!known?.parseCreationOptionsFromJSON || !known.parseRequestOptionsFromJSON || !named) {
      if (adds) this.append(h("p", { class: "small" }, t(named ? "passkey.old-browser" : "passkey.no-name")));
      return;
    }
    show(this.note, false);
    const button = h("button", { type: "button", onclick: () => void this.press(button, adds) }, t(adds ? "passkey.add" : "passkey.login"));
    if (adds) this.append(h("label", {}, t("passkey.name"), this.name));
    this.append(button, this.note);
  }

  private async press(button: HTMLButtonElement, adds: boolean): Promise<void> {
    button.disabled = true;
    show(this.note, false);
    try {
      const { next } = await (adds ? this.add() : this.login());
      location.assign(next);
    } catch (e) {
      // Who changes his mind needs no telling.
      if (e instanceof DOMException && (e.name === "NotAllowedError" || e.name === "AbortError")) return;
      const known = e instanceof DOMException && e.name === "InvalidStateError";
      say(this.note, e instanceof Problem ? `${e.title}. ${e.hint}` : t(known ? "passkey.known" : "passkey.failed"));
      show(this.note, true);
    } finally {
      button.disabled = false;
    }
  }

  private async add(): Promise<{ next: string }> {
    const q = await post<Question>("/api/passkeys/new/ask", {});
    const made = await navigator.credentials.create({ publicKey: known!.parseCreationOptionsFromJSON!(q.options) });
    return post("/api/passkeys/new", { ceremony: q.ceremony, name: this.name.value, answer: json(made) });
  }

  private async login(): Promise<{ next: string }> {
    const q = await post<Question>("/api/passkeys/ask", {});
    const got = await navigator.credentials.get({ publicKey: known!.parseRequestOptionsFromJSON!(q.options) });
    return post("/api/passkeys/login", { ceremony: q.ceremony, next: this.getAttribute("next") ?? "/", answer: json(got) });
  }
}

function json(c: Credential | null): unknown {
  if (!c) throw new DOMException("", "AbortError");
  return (c as PublicKeyCredential).toJSON();
}
