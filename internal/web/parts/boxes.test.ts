// What the browser reads of MP4 is hostile until it has been checked.

import { test } from "node:test";
import assert from "node:assert/strict";
import { header, hideTracks, mfraSize, readMfra, readPart, TrackFilter, tracks } from "./boxes";

function box(type: string, ...body: (Uint8Array | number[])[]): Uint8Array {
  const n = body.reduce((a, b) => a + b.length, 8);
  const b = new Uint8Array(n);
  new DataView(b.buffer).setUint32(0, n);
  b.set(new TextEncoder().encode(type), 4);
  let at = 8;
  for (const x of body) {
    b.set(x, at);
    at += x.length;
  }
  return b;
}

const u32 = (...n: number[]) => n.flatMap((x) => [(x >>> 24) & 255, (x >> 16) & 255, (x >> 8) & 255, x & 255]);
const video = { id: 1, kind: "video" as const, codec: "", timescale: 1000 };

function moof(track: number): Uint8Array {
  return box("moof", box("traf", box("tfhd", u32(0x20000, track)), box("tfdt", u32(0x01000000, 0, 500)), box("trun", u32(0x000701, 2, 0, 40, 10, 0x2000000, 40, 10, 0x10000))));
}

test("sample times and the keyframe mark of a part", () => {
  const b = moof(1);
  const part = readPart(b, header(b, 0)!, video);
  assert.deepEqual(part, { times: [500, 540], key: true });
  assert.deepEqual(readPart(moof(2), header(b, 0)!, video).times, []);
});

test("a keyframe table and its size", () => {
  const tfra = box("tfra", u32(0x01000000, 1, 0, 2), [...u32(0, 0, 0, 100), 1, 1, 1], [...u32(0, 2000, 0, 9000), 1, 1, 1]);
  const size = 8 + tfra.length + 16;
  const mfra = box("mfra", tfra, box("mfro", u32(0, size)));
  assert.equal(mfraSize(mfra.subarray(mfra.length - 16)), size);
  assert.deepEqual(readMfra(mfra, video), [
    { at: 0, offset: 100 },
    { at: 2000, offset: 9000 },
  ]);
});

test("tables longer than their boxes are refused", () => {
  const tfra = box("tfra", u32(0x01000000, 1, 0, 0xffffff));
  assert.throws(() => readMfra(box("mfra", tfra), video), { code: "damaged" });
  const bad = box("moof", box("traf", box("tfhd", u32(0x20000, 1)), box("trun", u32(0x000701, 0x7fffffff, 0))));
  assert.throws(() => readPart(bad, header(bad, 0)!, video), { code: "damaged" });
});

test("hidden tracks leave every offset as it was", () => {
  const whole = new Uint8Array([...moof(1), ...box("mdat", new Uint8Array(3000).fill(7)), ...moof(2), ...box("mdat", [1, 2, 3])]);
  const filter = new TrackFilter([2]);
  const out: number[] = [];
  for (let at = 0; at < whole.length; at += 37) out.push(...filter.push(whole.slice(at, at + 37)));
  assert.equal(out.length, whole.length);
  const changed = out.flatMap((x, i) => (x === whole[i] ? [] : [i]));
  const second = moof(1).length + 3008 + 8;
  assert.deepEqual(changed, [second + 4, second + 5, second + 6, second + 7].filter((i) => out[i] !== whole[i]));
  assert.equal(String.fromCharCode(...out.slice(second + 4, second + 8)), "free");
});

test("garbage neither hangs nor crashes", () => {
  let seed = 12345;
  const random = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
  const seeds = [moof(1), box("moov", box("trak", box("tkhd", u32(0, 0, 0, 1)), box("mdia", box("mdhd", u32(0, 0, 0, 90000, 0)), box("hdlr", u32(0, 0, 0x76696465)), box("minf", box("stbl", box("stsd", u32(0, 1), box("avc1", new Uint8Array(78), box("avcC", [1, 77, 64, 31]))))))))];
  assert.equal(tracks(seeds[1]!)[0]?.codec, "avc1.4d401f");
  for (let i = 0; i < 20_000; i++) {
    const b = seeds[i % 2]!.slice();
    for (let k = 0; k < 3; k++) b[Math.floor(random() * b.length)] = Math.floor(random() * 256);
    try {
      tracks(b);
      hideTracks(b, [2]);
      const x = header(b, 0);
      if (x) readPart(b, x, video);
      readMfra(b, video);
      mfraSize(b.subarray(-16));
    } catch (e) {
      assert.ok((e as { code?: string }).code === "damaged" || e instanceof RangeError, String(e));
    }
  }
});
