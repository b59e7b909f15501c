// A thread that reads and writes bodies as long as somebody asks.
import { parentPort } from 'node:worker_threads';
import { type BodyTask, perform } from './body-tasks.ts';

const port = parentPort;
port?.on('message', ({ id, task }: { id: number; task: BodyTask }) => {
  try {
    const { value, buffers } = perform(task);
    port.postMessage({ id, value }, [...buffers]);
  } catch (err) {
    const isSyntax = err instanceof SyntaxError;
    port.postMessage({ id, error: err instanceof Error ? err.message : String(err), isSyntax });
  }
});
