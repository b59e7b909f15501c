// What the processes of loaded models take, as the system tells it: they are asked nothing, since a pass keeps them busy.
import { readFile } from 'node:fs/promises';
import type { Metrics, Reading } from '../../common/metrics.ts';
import { isErrno } from '../model/disk.ts';

export interface RunnerProcess {
  readonly name: string;
  readonly value?: { readonly session: { readonly pid?: number } };
}

/** USER_HZ: of /proc on every Linux. */
const ticksPerSecond = 100;

/** What a process takes, and the file of /proc that tells it. */
const taken = {
  /** Processor time, of user and system. */
  seconds: {
    file: 'stat',
    read(text: string): number {
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' '); // its name may hold anything
      return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
    },
  },
  /** Resident, of files that are mapped too. */
  bytes: {
    file: 'status',
    read: (text: string) => 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0),
  },
} as const;
type Taken = keyof typeof taken;

/** Of a process; undefined when it has ended, or where there is no /proc. */
export async function takenBy(pid: number, what: Taken): Promise<number | undefined> {
  const { file } = taken[what];
  try {
    return taken[what].read(await readFile(`/proc/${pid}/${file}`, 'utf8'));
  } catch (err: unknown) {
    if (isErrno(err, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return undefined;
    throw err;
  }
}

export function runnerMetrics(metrics: Metrics, models: () => readonly RunnerProcess[]): void {
  const each = (what: Taken) => async (): Promise<Reading<'model'>[]> => {
    const read = models().map(async ({ name, value }) => {
      const pid = value?.session.pid;
      const found = pid ? await takenBy(pid, what) : undefined;
      return found === undefined ? [] : [[{ model: name }, found] as const];
    });
    return (await Promise.all(read)).flat();
  };
  metrics.counted(
    'runner_cpu_seconds_total',
    'Processor time that the process of a loaded model has taken.',
    ['model'],
    each('seconds'),
  );
  metrics.reading(
    'runner_resident_memory_bytes',
    'Resident memory of the process of a loaded model, with the files that it maps.',
    ['model'],
    each('bytes'),
  );
}
