// Gives signs of life for the files that this process owns, on a thread of its own: ONNX Runtime blocks the event loop
// for as long as it loads or runs, and who is only busy must not pass for dead. Knows no locks.
import { Worker } from 'node:worker_threads';

/** Several signs may get lost, or stay in the attribute cache of a network file system for 3 seconds each. */
const signsPerStale = 5;

/** The thread; as text, since no loader of TypeScript reaches it. A volume that does not answer is asked again. */
const program = `
const { parentPort, workerData } = require('node:worker_threads');
const { utimesSync } = require('node:fs');
const files = new Set();
parentPort.on('message', ({ file, isOver }) => (isOver ? files.delete(file) : files.add(file)));
setInterval(() => {
  for (const file of files) {
    try {
      utimesSync(file, new Date(), new Date());
    } catch (err) {
      if (err.code !== 'ENOENT' && err.code !== 'ESTALE') continue;
      files.delete(file);
      parentPort.postMessage(file);
    }
  }
}, workerData);
`;

export class Heart {
  readonly #intervalMs: number;
  /** What ends the signs, by file. */
  readonly #ends = new Map<string, () => void>();
  #thread: Worker | undefined;

  constructor(staleMs: number) {
    this.#intervalMs = staleMs / signsPerStale;
  }

  /** Sets the time of `file` again and again, until `signal` fires or the file is gone. */
  async beat(file: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const thread = (this.#thread ??= this.#start());
    thread.ref();
    await new Promise<void>((resolve) => {
      this.#ends.set(file, resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
      tell(thread, { file });
    });
    this.#ends.delete(file);
    tell(thread, { file, isOver: true });
    if (this.#ends.size === 0) thread.unref(); // ends with the process
  }

  #start(): Worker {
    const thread = new Worker(program, {
      eval: true,
      execArgv: [],
      workerData: this.#intervalMs,
    });
    thread.on('message', (file: string) => this.#ends.get(file)?.());
    return thread;
  }
}

function tell(thread: Worker, message: { file: string; isOver?: boolean }): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  thread.postMessage(message);
}
