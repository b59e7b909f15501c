// Loops that belong together: when one ends, all end, and nothing goes on in the background.
import { linkSignals } from '../../common/abort.ts';

class EndedError extends Error {
  override name = 'EndedError';
}

/**
 * Runs all of them until `signal` fires or one of them fails; then stops the others, waits for them, and rejects
 * with the reason of `signal` or that failure.
 */
export async function together(
  loops: readonly ((signal: AbortSignal) => Promise<void>)[],
  signal: AbortSignal,
): Promise<void> {
  using link = linkSignals(signal);
  const failures: unknown[] = [];
  await Promise.all(
    loops.map(async (loop) => {
      try {
        await loop(link.signal);
      } catch (err) {
        failures.push(err);
      }
      link.abort(new EndedError('a loop beside this one has ended'));
    }),
  );
  signal.throwIfAborted();
  if (failures.length > 0) throw failures[0];
}
