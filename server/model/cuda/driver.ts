// What the NVIDIA driver tells of the GPU, asked through nvidia-smi: no library of ours need be loaded for that.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { z } from 'zod';
import { AppError } from '../../../common/errors.ts';
import { isErrno } from '../disk.ts';

export interface GPU {
  readonly name: string;
  /** As NVIDIA counts them: 8.0 is an A100, 9.0 an H100. */
  readonly computeCapability: number;
  readonly driverVersion: string;
  readonly totalBytes: number;
  readonly usedBytes: number;
}

export interface Driver {
  /** Throws PROVIDER_UNAVAILABLE when there is no GPU, or none that can be used. */
  gpu(): Promise<GPU>;
  /** Bytes that processes hold, by pid. In a container the pids may be those of the host, or none be told at all. */
  processes(): Promise<ReadonlyMap<number, number>>;
}

/** The first with bfloat16 and the attention kernels. */
const leastCapability = 8;
const answerMs = 20_000;
const fields = ['name', 'compute_cap', 'driver_version', 'memory.total', 'memory.used'];

const run = promisify(execFile);

/** Of the GPU `id`: an index, or a UUID. */
export function nvidiaSmi({
  id,
  command = 'nvidia-smi',
}: {
  id: string;
  command?: string;
}): Driver {
  const ask = async (query: string): Promise<string[][]> => {
    const args = [query, '--format=csv,noheader,nounits', `--id=${id}`];
    try {
      const { stdout } = await run(command, args, { timeout: answerMs, killSignal: 'SIGKILL' });
      return stdout.split('\n').filter(Boolean).map(columns);
    } catch (err: unknown) {
      throw noDriver(err, command);
    }
  };
  return {
    gpu: async () => usable(parseGPU(await ask(`--query-gpu=${fields.join()}`))),
    processes: async () => parseProcesses(await ask('--query-compute-apps=pid,used_memory')),
  };
}

/** Which GPU the runtime takes as its first, given that it counts them as the driver does. */
export const firstVisible = (visibleDevices: string | undefined): string =>
  visibleDevices?.split(',')[0]?.trim() || '0';

const columns = (line: string): string[] => line.split(',').map((text) => text.trim());

/** The driver counts in MiB; what it does not know it puts in brackets. */
const bytes = (text = ''): number => (/^\d+$/.test(text) ? Number(text) * 2 ** 20 : Number.NaN);

function parseGPU([row = []]: string[][]): GPU {
  const [name = '', capability, driverVersion = '', total, used] = row;
  const gpu = {
    name,
    computeCapability: Number(capability),
    driverVersion,
    totalBytes: bytes(total),
    usedBytes: bytes(used),
  };
  if (Number.isNaN(gpu.computeCapability + gpu.totalBytes + gpu.usedBytes)) {
    const told = row.join(', ') || 'nothing';
    const message = `asking the driver for the GPU: it tells ${told}, not ${fields.join(', ')}`;
    throw new AppError('PROVIDER_UNAVAILABLE', message);
  }
  return gpu;
}

function parseProcesses(rows: string[][]): ReadonlyMap<number, number> {
  const held = rows.map(([pid, used]) => [Number(pid), bytes(used)] as const);
  return new Map(held.filter(([pid, used]) => Number.isInteger(pid) && !Number.isNaN(used)));
}

function usable(gpu: GPU): GPU {
  if (gpu.computeCapability >= leastCapability) return gpu;
  const has = `${gpu.name} has compute capability ${gpu.computeCapability.toFixed(1)}`;
  const message = `looking at the GPU: ${has}, ${leastCapability}.0 or more is needed (A100, A10, L4, H100 and later)`;
  throw new AppError('PROVIDER_UNAVAILABLE', message);
}

/** What a command that fails leaves behind: this one says on its output what is wrong. */
const failed = z.object({ stdout: z.string(), stderr: z.string(), message: z.string() }).partial();

function noDriver(err: unknown, command: string): AppError {
  if (isErrno(err, 'ENOENT', 'EACCES')) {
    const remedy =
      'is there a GPU in the resources of the GPUClass, and its runtimeClassName where the cluster has one for NVIDIA?';
    const message = `asking the driver for the GPU: there is no ${command}; ${remedy}`;
    return new AppError('PROVIDER_UNAVAILABLE', message, { cause: err });
  }
  const { stdout = '', stderr = '', message = '' } = failed.parse(err);
  const said = [stdout, stderr, message].map((text) => text.trim()).find(Boolean);
  const text = `asking the driver for the GPU: ${said?.split('\n')[0]}`;
  return new AppError('PROVIDER_UNAVAILABLE', text, { cause: err });
}
