// Whether this machine has a GPU that tests can use.
import { spawnSync } from 'node:child_process';

/** Why tests that need a GPU are skipped here, or false. */
export const withoutGpu: string | false =
  spawnSync('nvidia-smi', ['-L']).status === 0 ? false : 'nvidia-smi finds no GPU on this machine';
