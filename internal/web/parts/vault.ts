// The identities of this browser, inside the worker: unlocked, kept for the
// session, wrapped for keeps, forgotten.
//
// For the session they are sealed under an AES key that the browser holds in
// IndexedDB and gives to nobody, not even to us (not extractable); the sealed
// bytes are in the tab's sessionStorage. So a copy of either store alone opens
// nothing, closing the tab ends it, and locking destroys the key for all tabs.

import { Decrypter, Encrypter, generateHybridIdentity, identityToRecipient } from "age-encryption";
import { Failure, type KeyInfo } from "./bridge";

const identityLine = /^AGE-SECRET-KEY-(PQ-)?1[0-9A-Z]+$/;

export class Vault {
  #identities: string[] = [];
  /** Grows whenever identities change, so that what was opened with old ones can be told. */
  generation = 0;

  get locked(): boolean {
    return this.#identities.length === 0;
  }

  /** Opens with any of the identities. */
  decrypter(): Decrypter {
    if (this.locked) throw new Failure("locked");
    const d = new Decrypter();
    for (const id of this.#identities) d.addIdentity(id);
    return d;
  }

  /** Takes the text of an identity file; comments are skipped. */
  async unlock(text: string): Promise<KeyInfo> {
    const identities = text
      .slice(0, 64 << 10)
      .split(/\s*\n\s*/)
      .map((l) => l.trim())
      .filter((l) => l !== "" && !l.startsWith("#"))
      // A recovery sheet is typed in groups.
      .map((l) => l.replace(/\s+/g, "").toUpperCase());
    if (identities.length === 0 || identities.length > 50 || !identities.every((l) => identityLine.test(l))) throw new Failure("not-a-key");
    const recipients: string[] = [];
    for (const id of identities) {
      try {
        recipients.push(await identityToRecipient(id));
      } catch {
        throw new Failure("not-a-key");
      }
    }
    this.#identities = identities;
    this.generation++;
    return { recipients, session: await this.#seal() };
  }

  async lock(): Promise<void> {
    this.#identities = [];
    this.generation++;
    await forgetSessionKey();
  }

  async restore(session: Uint8Array): Promise<KeyInfo> {
    const key = await sessionKey(false);
    if (!key) throw new Failure("locked");
    try {
      return await this.unlock(await openAES(key, session));
    } catch {
      throw new Failure("locked");
    }
  }

  /** Wraps the identities under a passphrase, as an age file, or under 32 secret bytes of a passkey. */
  async wrap(secret: string | Uint8Array): Promise<Uint8Array> {
    if (this.locked) throw new Failure("locked");
    const text = this.#identities.join("\n") + "\n";
    if (typeof secret !== "string") return sealAES(await passkeyKey(secret), text);
    const e = new Encrypter();
    e.setPassphrase(secret);
    e.setScryptWorkFactor(17);
    return e.encrypt(text);
  }

  async unwrap(secret: string | Uint8Array, wrapped: Uint8Array): Promise<KeyInfo> {
    let text: string;
    try {
      if (typeof secret === "string") {
        const d = new Decrypter();
        d.addPassphrase(secret);
        text = await d.decrypt(wrapped, "text");
      } else {
        text = await openAES(await passkeyKey(secret), wrapped);
      }
    } catch {
      throw new Failure("wrong-passphrase");
    }
    return this.unlock(text);
  }

  async #seal(): Promise<Uint8Array | null> {
    try {
      const key = await sessionKey(true);
      return key && (await sealAES(key, this.#identities.join("\n")));
    } catch {
      return null; // no secure context, or no storage: the identity lives as long as the page
    }
  }
}

export async function generate(): Promise<{ identity: string; recipient: string }> {
  const identity = await generateHybridIdentity();
  return { identity, recipient: await identityToRecipient(identity) };
}

async function passkeyKey(secret: Uint8Array): Promise<CryptoKey> {
  const base = await crypto.subtle.importKey("raw", secret as BufferSource, "HKDF", false, ["deriveKey"]);
  const info = new TextEncoder().encode("watchward identity under a passkey, v1");
  return crypto.subtle.deriveKey({ name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info }, base, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
}

async function sealAES(key: CryptoKey, text: string): Promise<Uint8Array> {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, new TextEncoder().encode(text)));
  const all = new Uint8Array(iv.length + sealed.length);
  all.set(iv);
  all.set(sealed, iv.length);
  return all;
}

async function openAES(key: CryptoKey, sealed: Uint8Array): Promise<string> {
  const iv = sealed.slice(0, 12);
  return new TextDecoder().decode(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, sealed.slice(12)));
}

function database(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const r = indexedDB.open("watchward-session", 1);
    r.onupgradeneeded = () => r.result.createObjectStore("keys");
    r.onsuccess = () => resolve(r.result);
    r.onerror = () => reject(r.error);
  });
}

async function withKeys<T>(mode: IDBTransactionMode, f: (s: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const db = await database();
  try {
    return await new Promise<T>((resolve, reject) => {
      const t = db.transaction("keys", mode);
      const r = f(t.objectStore("keys"));
      t.oncomplete = () => resolve(r.result);
      t.onerror = t.onabort = () => reject(t.error);
    });
  } finally {
    db.close();
  }
}

async function sessionKey(make: boolean): Promise<CryptoKey | null> {
  const old = (await withKeys("readonly", (s) => s.get("session"))) as CryptoKey | undefined;
  if (old || !make) return old ?? null;
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  // Another tab may have made one meanwhile: the first stays.
  try {
    await withKeys("readwrite", (s) => s.add(key, "session"));
    return key;
  } catch {
    return sessionKey(false);
  }
}

async function forgetSessionKey(): Promise<void> {
  try {
    await withKeys("readwrite", (s) => s.delete("session"));
  } catch {
    // nothing was kept
  }
}
