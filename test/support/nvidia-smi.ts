// An nvidia-smi whose answers a test decides: see nvidia-smi.mjs.
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export interface SmiState {
  gpus?: Record<string, string | number>[];
  processes?: { gpu?: number; pid: number; used_memory: number | string }[];
  broken?: string;
}

export const h100 = {
  index: 0,
  uuid: 'GPU-1',
  name: 'NVIDIA H100 80GB HBM3',
  compute_cap: '9.0',
  driver_version: '580.95.05',
  'memory.total': 81_559,
  'memory.used': 4,
};

/** The command in `folder`, and how to change what it says. */
export function fakeNvidiaSmi(folder: string, state: SmiState) {
  const command = path.join(folder, 'nvidia-smi');
  const file = path.join(folder, 'nvidia-smi.json');
  const script = path.join(import.meta.dirname, 'nvidia-smi.mjs');
  const say = (next: SmiState) => writeFileSync(file, JSON.stringify(next));
  writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${script}' '${file}' "$@"\n`);
  chmodSync(command, 0o755);
  say(state);
  return { command, say };
}
