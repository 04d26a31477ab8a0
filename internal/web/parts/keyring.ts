// The page's side of the identity: locked or not, kept or not. Secrets pass
// through here on their way to the worker; none is held.

import { Failure, type KeyInfo } from "./bridge";
import { ask } from "./client";

const sessionItem = "watchward.identity";
const database = "watchward-identity";

/** How an identity is kept in this browser beyond the session. */
export interface Kept {
  way: "passphrase" | "passkey";
  wrapped: Uint8Array;
  recipient: string;
  credential?: Uint8Array;
}

class Keyring extends EventTarget {
  #info: KeyInfo | null = null;
  #ready: Promise<void> | null = null;
  #channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("watchward-identity") : null;

  constructor() {
    super();
    this.#channel?.addEventListener("message", (e: MessageEvent<{ kind: string; session?: Uint8Array }>) => {
      void this.#hear(e.data);
    });
  }

  get unlocked(): boolean {
    return this.#info !== null;
  }

  get recipients(): string[] {
    return this.#info?.recipients ?? [];
  }

  /** Resolves when what this tab or another one has unlocked before has been taken up. */
  ready(): Promise<void> {
    this.#ready ??= this.#restore();
    return this.#ready;
  }

  async unlock(text: string): Promise<void> {
    this.#ready = Promise.resolve();
    this.#take(await ask<"unlock">({ op: "unlock", text }));
    this.#channel?.postMessage({ kind: "unlocked", session: this.#info?.session });
  }

  async lock(): Promise<void> {
    this.#forget();
    this.#channel?.postMessage({ kind: "locked" });
    await ask<"lock">({ op: "lock" });
  }

  /** Keeps the unlocked identity in this browser, wrapped. */
  async keep(way: "passphrase" | "passkey", secret: string | Uint8Array, credential?: Uint8Array): Promise<void> {
    const wrapped = await ask<"wrap">({ op: "wrap", secret });
    const kept: Kept = { way, wrapped, recipient: this.recipients[0] ?? "" };
    if (credential) kept.credential = credential;
    await store("readwrite", (s) => s.put(kept, "kept"));
    this.dispatchEvent(new Event("change"));
  }

  async kept(): Promise<Kept | null> {
    try {
      return ((await store("readonly", (s) => s.get("kept"))) as Kept | undefined) ?? null;
    } catch {
      return null;
    }
  }

  async unwrap(kept: Kept, secret: string | Uint8Array): Promise<void> {
    this.#ready = Promise.resolve();
    this.#take(await ask<"unwrap">({ op: "unwrap", secret, wrapped: kept.wrapped }));
    this.#channel?.postMessage({ kind: "unlocked", session: this.#info?.session });
  }

  async forgetKept(): Promise<void> {
    await store("readwrite", (s) => s.delete("kept"));
    this.dispatchEvent(new Event("change"));
  }

  #take(info: KeyInfo): void {
    this.#info = info;
    try {
      if (info.session) sessionStorage.setItem(sessionItem, toBase64(info.session));
    } catch {
      // storage refused: the identity lives as long as the page
    }
    this.dispatchEvent(new Event("change"));
  }

  #forget(): void {
    this.#info = null;
    this.#ready = Promise.resolve();
    try {
      sessionStorage.removeItem(sessionItem);
    } catch {
      // nothing was stored
    }
    this.dispatchEvent(new Event("change"));
  }

  async #restore(): Promise<void> {
    const session = this.#stored() ?? (await this.#askTabs());
    if (session) await this.#adopt(session);
  }

  #stored(): Uint8Array | null {
    try {
      const s = sessionStorage.getItem(sessionItem);
      return s ? fromBase64(s) : null;
    } catch {
      return null;
    }
  }

  async #adopt(session: Uint8Array): Promise<void> {
    try {
      this.#take(await ask<"restore">({ op: "restore", session }));
    } catch (e) {
      if (!(e instanceof Failure) || e.code !== "locked") throw e;
      this.#forget();
    }
  }

  /** A new tab asks the others for the session's sealed bytes. */
  #askTabs(): Promise<Uint8Array | null> {
    const channel = this.#channel;
    if (!channel) return Promise.resolve(null);
    return new Promise((resolve) => {
      const done = (s: Uint8Array | null) => {
        channel.removeEventListener("message", hear);
        clearTimeout(timer);
        resolve(s);
      };
      const hear = (e: MessageEvent<{ kind: string; session?: Uint8Array }>) => {
        if (e.data.kind === "unlocked" && e.data.session) done(e.data.session);
      };
      const timer = setTimeout(() => done(null), 120);
      channel.addEventListener("message", hear);
      channel.postMessage({ kind: "who" });
    });
  }

  async #hear(m: { kind: string; session?: Uint8Array }): Promise<void> {
    if (m.kind === "who" && this.#info?.session) {
      this.#channel?.postMessage({ kind: "unlocked", session: this.#info.session });
    } else if (m.kind === "locked" && this.unlocked) {
      this.#forget();
      await ask<"lock">({ op: "lock" });
    } else if (m.kind === "unlocked" && m.session && !this.unlocked && this.#ready) {
      await this.#adopt(m.session);
    }
  }
}

export const keyring = new Keyring();

function store<T>(mode: IDBTransactionMode, f: (s: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const open = indexedDB.open(database, 1);
    open.onupgradeneeded = () => open.result.createObjectStore("identity");
    open.onerror = () => reject(open.error);
    open.onsuccess = () => {
      const db = open.result;
      const tx = db.transaction("identity", mode);
      const r = f(tx.objectStore("identity"));
      tx.oncomplete = () => {
        db.close();
        resolve(r.result);
      };
      tx.onerror = tx.onabort = () => {
        db.close();
        reject(tx.error);
      };
    };
  });
}

function toBase64(b: Uint8Array): string {
  return btoa(String.fromCharCode(...b));
}

function fromBase64(s: string): Uint8Array {
  return Uint8Array.from(atob(s), (c) => c.charCodeAt(0));
}

/**
 * A link may hand over an identity after the "#", which browsers do not send.
 * It is taken out of the address bar before anything else happens.
 */
export async function takeFromAddress(): Promise<void> {
  const m = /(?:^#|&)key=([^&]+)/.exec(location.hash);
  if (!m) return;
  const rest = location.hash.replace(/(^#|&)key=[^&]+/, "$1").replace(/^#&?$/, "");
  history.replaceState(history.state, "", location.pathname + location.search + rest);
  await keyring.unlock(decodeURIComponent(m[1]!));
}

/** Passkeys give a secret through the PRF extension (WebAuthn level 3), in browsers that have it. */
export function passkeysMayWork(): boolean {
  return isSecureContext && "PublicKeyCredential" in globalThis;
}

const prfSalt = new TextEncoder().encode("watchward identity v1");

interface PrfResults {
  prf?: { enabled?: boolean; results?: { first?: BufferSource } };
}

function prfOf(c: PublicKeyCredential): Uint8Array | null {
  const first = (c.getClientExtensionResults() as PrfResults).prf?.results?.first;
  if (!first) return null;
  return first instanceof ArrayBuffer ? new Uint8Array(first) : new Uint8Array((first as Uint8Array).buffer.slice(0) as ArrayBuffer);
}

export async function makePasskey(name: string): Promise<{ secret: Uint8Array; credential: Uint8Array }> {
  const made = (await navigator.credentials.create({
    publicKey: {
      challenge: crypto.getRandomValues(new Uint8Array(32)),
      rp: { name: "Watchward" },
      user: { id: crypto.getRandomValues(new Uint8Array(16)), name, displayName: name },
      pubKeyCredParams: [
        { type: "public-key", alg: -7 },
        { type: "public-key", alg: -257 },
      ],
      authenticatorSelection: { residentKey: "preferred", userVerification: "required" },
      extensions: { prf: { eval: { first: prfSalt } } } as AuthenticationExtensionsClientInputs,
    },
  })) as PublicKeyCredential | null;
  if (!made) throw new Failure("cancelled");
  const credential = new Uint8Array(made.rawId);
  return { credential, secret: prfOf(made) ?? (await usePasskey(credential)) };
}

export async function usePasskey(credential: Uint8Array): Promise<Uint8Array> {
  const got = (await navigator.credentials.get({
    publicKey: {
      challenge: crypto.getRandomValues(new Uint8Array(32)),
      allowCredentials: [{ type: "public-key", id: credential as BufferSource }],
      userVerification: "required",
      extensions: { prf: { eval: { first: prfSalt } } } as AuthenticationExtensionsClientInputs,
    },
  })) as PublicKeyCredential | null;
  const secret = got && prfOf(got);
  if (!secret) throw new Failure("cancelled", "no prf");
  return secret;
}
