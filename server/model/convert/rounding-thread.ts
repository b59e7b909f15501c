// A thread that rounds weights until nobody asks any more.
import { parentPort } from 'node:worker_threads';
import { perform, type Task } from './rounding.ts';

const port = parentPort;
port?.on('message', ({ id, task }: { id: number; task: Task }) => {
  const rounded = perform(task);
  const buffers = [rounded.codes, rounded.scales, rounded.errors]
    .map((array) => array?.buffer)
    .filter((buffer) => buffer instanceof ArrayBuffer);
  port.postMessage({ id, rounded }, buffers);
});
