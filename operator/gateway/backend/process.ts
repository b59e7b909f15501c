// One server as a child process: started, told its port, stopped. It knows nothing of pools.
import { type ChildProcess, fork } from 'node:child_process';
import { z } from 'zod';
import type { Clock } from '../../../common/clock.ts';
import { modulePath } from '../../../common/module.ts';
import type { ServerListening } from '../../../server/contract.ts';

export interface ServerProcess {
  readonly pid: number | undefined;
  /** Where it listens, on the loopback address. Never settles when it ends before. */
  readonly port: Promise<number>;
  /** Settles, never rejects, once the process is gone, with the reason in words. */
  readonly ended: Promise<string>;
  /** SIGTERM, and SIGKILL when that does not help. Wait for `ended`. */
  stop(): void;
}

export interface ServerProcessOptions {
  /** Settings of the server; of our own environment only what is not a setting of ours is passed on. */
  settings: Readonly<Record<string, string>>;
  clock: Clock;
  /** Time between SIGTERM and SIGKILL. Milliseconds. */
  graceMs: number;
}

/** How much of what a process wrote is looked at when it has ended. Characters. */
const maxTail = 16_384;

const listening: z.ZodType<ServerListening> = z.object({ port: z.int().min(1).max(65535) });
const fatalLine = z.object({
  level: z.number().min(50),
  msg: z.string().optional(),
  err: z.object({ message: z.string() }).optional(),
});

export function startServerProcess(options: ServerProcessOptions): ServerProcess {
  const child = fork(modulePath(import.meta.url, '../../../refmodel'), ['server'], {
    env: { ...foreign(process.env), ...options.settings },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const tail = passOutput(child);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (err) => resolve(err.message)); // it could not be started at all
    child.once('close', (code, signal) => resolve(lastWords(tail.text) ?? how(code, signal)));
  });
  const port = new Promise<number>((resolve) => {
    child.on('message', (message) => {
      const parsed = listening.safeParse(message);
      if (parsed.success) resolve(parsed.data.port);
    });
  });
  return { pid: child.pid, port, ended, stop: () => stop(child, ended, options) };
}

function stop(child: ChildProcess, ended: Promise<string>, options: ServerProcessOptions): void {
  child.kill('SIGTERM');
  const grace = new AbortController();
  void ended.then(() => grace.abort());
  options.clock.delay(options.graceMs, grace.signal).then(
    () => child.kill('SIGKILL'),
    () => {}, // it ended by itself
  );
}

/** Its logs are ours, on stderr; standard output stays free for people. */
function passOutput(child: ChildProcess): { text: string } {
  const tail = { text: '' };
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      tail.text = (tail.text + chunk).slice(-maxTail);
      process.stderr.write(chunk);
    });
  }
  return tail;
}

const foreign = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('REFMODEL_')));

const how = (code: number | null, signal: string | null): string =>
  signal ? `ended by ${signal}` : `ended with code ${code}`;

/** The last error that the process logged, or said before it could log. */
function lastWords(text: string): string | undefined {
  for (const line of text.split('\n').toReversed()) {
    const [, said] = /^refmodel server: (.+)$/.exec(line) ?? [];
    const { data } = fatalLine.safeParse(parseJson(line));
    if (said ?? data) return said ?? data?.err?.message ?? data?.msg;
  }
  return undefined;
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // not a log line
  }
}
