// Waiting for what another process does: tries again and again, up to a time.
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Tries `attempt` until it does not throw; then its value. Fails with its last error after `timeoutMs`.
 * Assertions inside need a message: without one, node's assert reads the source to make one up, which takes seconds.
 */
export async function eventually<T>(attempt: () => Promise<T> | T, timeoutMs = 30_000): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (err) {
      if (Date.now() >= end) throw err;
      await sleep(50);
    }
  }
}
