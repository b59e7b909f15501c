// What a load failed of, in our words. Pure.
import { why } from '../../../common/abort.ts';
import { AppError, toAppError } from '../../../common/errors.ts';

/** `signal` ends loads: when it fired, `err` is only its echo. `state`: what the load was doing. */
export function loadError(
  err: unknown,
  { name, state }: { name: string; state: string },
  signal: AbortSignal,
): AppError {
  if (!signal.aborted || err instanceof AppError) return toAppError(err);
  if (why(signal) !== 'Timeout')
    return new AppError('SHUTTING_DOWN', 'loading a model: the process is ending', { cause: err });
  const message = `loading "${name}": nothing moved for too long, it was ${state}`;
  return new AppError('LOAD_TIMEOUT', message, { cause: err });
}
