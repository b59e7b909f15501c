// What the processes of loaded models take, as the system tells it: they are asked nothing, since a pass keeps them busy.
import { readFile } from 'node:fs/promises';
import type { Metrics, Reading } from '../../common/metrics.ts';
import { isErrno } from '../model/disk.ts';

export interface RunnerProcess {
  readonly name: string;
  readonly value?: { readonly session: { readonly pid?: number } };
}

interface Taken {
  /** Processor time, of user and system. */
  readonly seconds: number;
  /** Resident, of files that are mapped too. */
  readonly bytes: number;
}

/** USER_HZ: of /proc on every Linux. */
const ticksPerSecond = 100;

/** Of a process; undefined when it has ended, or where there is no /proc. */
export async function takenBy(pid: number): Promise<Taken | undefined> {
  try {
    const read = (name: string) => readFile(`/proc/${pid}/${name}`, 'utf8');
    const [stat, status] = await Promise.all([read('stat'), read('status')]);
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // its name may hold anything
    return {
      seconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond,
      bytes: 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0),
    };
  } catch (err: unknown) {
    if (isErrno(err, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return undefined;
    throw err;
  }
}

export function runnerMetrics(metrics: Metrics, models: () => readonly RunnerProcess[]): void {
  const each = (what: keyof Taken) => async (): Promise<Reading<'model'>[]> => {
    const read = models().map(async ({ name, value }) => {
      const taken = value?.session.pid ? await takenBy(value.session.pid) : undefined;
      return taken ? [[{ model: name }, taken[what]] as const] : [];
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
