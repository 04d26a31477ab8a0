// The page's side of the worker.

import { type Answers, type Envelope, Failure, type Reply, type Request } from "./bridge";

/** The worker lies beside the script that this is a part of, under the same version. */
const workerURL = new URL("worker.js", import.meta.url);

interface Call {
  resolve(value: unknown): void;
  reject(e: Failure): void;
  piece?(p: Uint8Array): void;
}

let worker: Worker | null = null;
let next = 1;
const calls = new Map<number, Call>();

function start(): Worker {
  const w = new Worker(workerURL);
  w.onmessage = (e: MessageEvent<Reply>) => {
    const m = e.data;
    const call = calls.get(m.id);
    if (!call) return;
    if ("piece" in m) {
      call.piece?.(m.piece);
      return;
    }
    calls.delete(m.id);
    if ("failure" in m) call.reject(new Failure(m.failure, m.detail));
    else call.resolve(m.value);
  };
  w.onerror = () => {
    for (const c of calls.values()) c.reject(new Failure("internal", "worker"));
    calls.clear();
  };
  return w;
}

function post(request: Request, call: Call): number {
  worker ??= start();
  const id = next++;
  calls.set(id, call);
  worker.postMessage({ id, request } satisfies Envelope);
  return id;
}

export function ask<K extends Request["op"]>(request: Extract<Request, { op: K }>): Promise<Answers[K]> {
  return new Promise((resolve, reject) => {
    post(request, { resolve: resolve as (v: unknown) => void, reject });
  });
}

/** Asks for opened bytes; they come piece by piece. Breaking off the loop cancels the request. */
export async function* stream(request: Extract<Request, { op: "stream" }>): AsyncGenerator<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let wake: () => void = () => undefined;
  let done = false;
  let failed: Failure | null = null;
  const id = post(request, {
    resolve: () => {
      done = true;
      wake();
    },
    reject: (e) => {
      failed = e;
      wake();
    },
    piece: (p) => {
      pieces.push(p);
      wake();
    },
  });
  try {
    for (;;) {
      const p = pieces.shift();
      if (p) yield p;
      else if (failed) throw failed;
      else if (done) return;
      else await new Promise<void>((r) => (wake = r));
    }
  } finally {
    if (!done && !failed) worker?.postMessage({ id, cancel: true } satisfies Envelope);
  }
}
