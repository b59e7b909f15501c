// What the Kubernetes API answers when it does not do what it was asked, and the questions callers ask about it.
import { AppError } from '../../common/errors.ts';

/** Reasons of our own for calls that got no answer; the others are meta/v1 StatusReasons. */
export type LocalReason = 'Unreachable' | 'Timeout' | 'Malformed';

export class KubernetesApiError extends AppError {
  /** HTTP status of the answer; 0 when there was none. */
  readonly apiStatus: number;
  /** meta/v1 StatusReason such as `AlreadyExists`, or a LocalReason. */
  readonly reason: string;

  constructor(message: string, answer: { apiStatus: number; reason: string; cause?: unknown }) {
    super('KUBERNETES_API', message, { cause: answer.cause });
    this.name = 'KubernetesApiError';
    this.apiStatus = answer.apiStatus;
    this.reason = answer.reason;
  }
}

const hasStatus = (err: unknown, status: number): err is KubernetesApiError =>
  err instanceof KubernetesApiError && err.apiStatus === status;

export const isNotFound = (err: unknown): boolean => hasStatus(err, 404);

/** The object changed since it was read, or another field manager holds the field. */
export const isConflict = (err: unknown): boolean =>
  hasStatus(err, 409) && err.reason !== 'AlreadyExists';

export const isAlreadyExists = (err: unknown): boolean =>
  hasStatus(err, 409) && err.reason === 'AlreadyExists';

/** The resourceVersion of a watch or of a list's next page is too old: list again. */
export const isGone = (err: unknown): boolean => hasStatus(err, 410);

/** Answers that say nothing about the object itself: the next try may find another. */
const passing = [404, 409, 410, 429, 503, 504];

/**
 * The API server looked at the object and did not take it: invalid, forbidden, refused by a webhook. An apply of a
 * field of the wrong type is a 500 there.
 */
export const isRefused = (err: unknown): err is KubernetesApiError =>
  err instanceof KubernetesApiError && err.apiStatus >= 400 && !passing.includes(err.apiStatus);

/** For `.catch`: a missing object is an answer, every other error is thrown on. */
export function ignoreNotFound(err: unknown): undefined {
  if (isNotFound(err)) return undefined;
  throw err;
}
