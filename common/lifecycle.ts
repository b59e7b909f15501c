// From start to exit: SIGTERM → unready → delay → close → drain → exit code. Only a main calls this.
import { setTimeout as sleep } from 'node:timers/promises';
import { ShutdownError } from './abort.ts';
import { toAppError } from './errors.ts';
import type { Logger } from './log.ts';

export interface Running {
  /** Called first on SIGTERM: answer readiness with 503 from now on, keep serving. */
  drain(): void;
  /** Called after the delay: stop listening, finish what is in flight, release everything. */
  close(): Promise<void>;
  /** Settles when a part that must run for ever ends; a rejection ends the process with code 1. */
  failed?: Promise<never>;
}

export interface LifecycleOptions {
  log: Logger;
  /** Time between unready and close, so that balancers notice. Milliseconds. */
  drainDelayMs: number;
  /** Time that close may take before the process ends anyway. Milliseconds. */
  closeTimeoutMs: number;
}

/** Runs a process until SIGTERM or SIGINT, or until a part of it fails; then exits. */
export async function run(
  options: LifecycleOptions,
  start: (signal: AbortSignal) => Promise<Running>,
): Promise<void> {
  const { log } = options;
  const shutdown = new AbortController();
  const asked = new Promise<string>((resolve) => {
    // Stays for good: npm passes on a Ctrl-C that we had from the terminal already, and the default would kill us.
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => resolve(name));
    if (process.connected) process.once('disconnect', () => resolve('parent gone'));
  });
  try {
    const running = await start(shutdown.signal);
    const reason = await Promise.race([asked, ...(running.failed ? [running.failed] : [])]);
    log.info({ reason }, 'shutting down');
    running.drain();
    await sleep(options.drainDelayMs);
    shutdown.abort(new ShutdownError('the process is ending'));
    await Promise.race([
      running.close(),
      sleep(options.closeTimeoutMs, undefined, { ref: false }).then(() => {
        throw new Error(`closing took longer than ${options.closeTimeoutMs} ms`);
      }),
    ]);
    process.exit(0);
  } catch (err) {
    log.fatal({ err: toAppError(err) }, 'ended');
    process.exit(1);
  }
}
