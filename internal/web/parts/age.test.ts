// Run by Go (bundle_test.go), which seals the files: what age makes in Go must
// open here, from any byte.

import { readFileSync } from "node:fs";
import { test } from "node:test";
import assert from "node:assert/strict";
import { Decrypter } from "age-encryption";
import { ChunkCache, chunkSealed, nativeCipher, scriptCipher, SealedFile, type Source } from "./age";

interface Fixture {
  identity: string;
  files: { name: string; plain: number; whole: boolean }[];
}

const dir = process.env.AGE_FIXTURES ?? "";
const fixture = JSON.parse(readFileSync(`${dir}/index.json`, "utf8")) as Fixture;

function open(name: string, whole: boolean): { file: Promise<SealedFile>; asked: [number, number][]; size: number } {
  const bytes = readFileSync(`${dir}/${name}`);
  const asked: [number, number][] = [];
  const source: Source = {
    async *read(from, to) {
      asked.push([from, to]);
      // In odd pieces, as a network gives them.
      for (let at = from; at < Math.min(to, bytes.length); at += 10_007) yield new Uint8Array(bytes.subarray(at, Math.min(at + 10_007, to, bytes.length)));
    },
  };
  const keys = new Decrypter();
  keys.addIdentity(fixture.identity);
  return { file: SealedFile.open(name, source, bytes.length, whole, keys, new ChunkCache(1 << 20)), asked, size: bytes.length };
}

// The plain byte at an offset, as the Go side wrote it.
const byteAt = (i: number) => (i * 7 + (i >> 8) * 13) & 0xff;

for (const f of fixture.files) {
  test(`${f.name} opens from any byte`, async () => {
    const file = await open(f.name, f.whole).file;
    assert.equal(file.plainSize, f.plain);
    for (let i = 0; i < 40; i++) {
      const from = Math.floor(((i * 2654435761) % 1000003) / 1000003 * f.plain);
      const to = Math.min(f.plain, from + ((i * 40503) % 150_000));
      const got = await file.read(from, to);
      assert.equal(got.length, to - from);
      for (let k = 0; k < got.length; k += 997) assert.equal(got[k], byteAt(from + k));
    }
  });
}

test("one request for what is not cached", async () => {
  const f = fixture.files.find((x) => x.plain > 600_000)!;
  const { file, asked } = open(f.name, f.whole);
  const sealed = await file;
  assert.equal(asked.length, 1, "header and first chunk in one");
  await sealed.read(200_000, 500_000);
  assert.equal(asked.length, 2);
  const [from, to] = asked[1]!;
  assert.ok(to - from <= 6 * chunkSealed, "no more than the chunks that hold it");
  await sealed.read(210_000, 490_000);
  assert.equal(asked.length, 2, "then from the cache");
});

test("another identity is told apart from damage", async () => {
  const f = fixture.files[0]!;
  const bytes = readFileSync(`${dir}/${f.name}`);
  const source: Source = {
    async *read(from, to) {
      yield new Uint8Array(bytes.subarray(from, to));
    },
  };
  const keys = new Decrypter();
  keys.addIdentity("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX");
  await assert.rejects(SealedFile.open(f.name, source, bytes.length, true, keys, new ChunkCache()), { code: "wrong-key" });
});

test("a changed byte does not open", async () => {
  const f = fixture.files.find((x) => x.plain > 600_000)!;
  const { file } = open(f.name, f.whole);
  const sealed = await file;
  const broken = Object.assign(Object.create(Object.getPrototypeOf(sealed.source)), {
    async *read(from: number, to: number) {
      const b = new Uint8Array(readFileSync(`${dir}/${f.name}`).subarray(from, to));
      b[100]! ^= 1;
      yield b;
    },
  }) as Source;
  Object.defineProperty(sealed, "source", { value: broken });
  await assert.rejects(sealed.read(300_000, 300_010), { code: "damaged" });
});

test("both ciphers agree where the browser's own exists", async () => {
  const key = new Uint8Array(32).fill(9);
  const native = await nativeCipher(key);
  const { chacha20poly1305 } = await import("@noble/ciphers/chacha.js");
  const sealed = chacha20poly1305(key, new Uint8Array(12)).encrypt(new Uint8Array(1000).fill(3));
  for (const c of [native, scriptCipher(key)]) {
    if (c) assert.deepEqual(await c.open(new Uint8Array(12), sealed), new Uint8Array(1000).fill(3));
  }
});
