// The memory that models are counted in, and what the system tells of it. Where it tells nothing, estimates stand.
import { readFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { isErrno } from './disk.ts';

/** Of the machine and of the accelerator. */
export interface Bytes {
  readonly host: number;
  readonly device: number;
}

export const noBytes: Bytes = { host: 0, device: 0 };

export const addBytes = (a: Bytes, b: Bytes): Bytes => ({
  host: a.host + b.host,
  device: a.device + b.device,
});

export const fitsIn = (bytes: Bytes, limit: Bytes): boolean =>
  bytes.host <= limit.host && bytes.device <= limit.device;

/**
 * Bytes of a process that weights can be in: its private memory, and the files that it maps, each byte of a file once
 * and whether it was touched yet or not, shared libraries and the address space of a GPU apart. An empty runner has some too, so only the difference
 * between two moments says what a model takes. Undefined where the system does not tell.
 */
export async function weightMemory(pid: number): Promise<number | undefined> {
  try {
    const [status, maps] = await Promise.all(
      ['status', 'maps'].map((name) => readFile(`/proc/${pid}/${name}`, 'utf8')),
    );
    return anonymousBytes(status ?? '') + mappedBytes(maps ?? '');
  } catch (err) {
    if (isErrno(err, 'ENOENT', 'EACCES', 'EPERM', 'ESRCH')) return undefined;
    throw err;
  }
}

const anonymousBytes = (status: string): number =>
  1024 * Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);

const mappingLine = /^([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) (\S+ [1-9]\d*)\s+(\/.*)$/;

/** `maps` as in proc_pid_maps(5). */
export function mappedBytes(maps: string): number {
  const ranges = maps.split('\n').flatMap((line) => {
    const [, from = '', to = '', at = '', file = '', path = ''] = mappingLine.exec(line) ?? [];
    if (!path || /\.so(\.[\d.]+)?$/.test(path) || path.startsWith('/dev/nvidia')) return [];
    const start = Number.parseInt(at, 16);
    const length = Number.parseInt(to, 16) - Number.parseInt(from, 16);
    return [{ file, start, end: start + length }];
  });
  ranges.sort((a, b) => (a.file === b.file ? a.start - b.start : a.file < b.file ? -1 : 1));
  let bytes = 0;
  let last = { file: '', end: 0 };
  for (const { file, start, end } of ranges) {
    const from = file === last.file ? Math.max(start, last.end) : start;
    bytes += Math.max(0, end - from);
    last = { file, end: Math.max(end, from) };
  }
  return bytes;
}

/** Bytes that this process may use: what the machine has, or its container is allowed. */
export const hostMemory = (): number =>
  Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);

/** How many processes the kernel has ended for want of memory so far, here or in any container of this machine. */
export async function oomKills(): Promise<number | undefined> {
  try {
    const found = /^oom_kill (\d+)$/m.exec(await readFile('/proc/vmstat', 'utf8'));
    return found ? Number(found[1]) : undefined;
  } catch (err) {
    if (isErrno(err, 'ENOENT', 'EACCES', 'EPERM')) return undefined;
    throw err;
  }
}

export const describeBytes = (bytes: number): string =>
  `${(bytes / 2 ** 30).toPrecision(3)} GiB (${bytes} bytes)`;
