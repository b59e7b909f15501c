// What it means when the hub does not give what it was asked for: an error code, and a sentence that says what to do.
// The hub says why in X-Error-Code and X-Error-Message. Pure.
import { STATUS_CODES } from 'node:http';
import { AppError, type ErrorCode } from '../../../common/errors.ts';

export type Headers = Readonly<Record<string, string | string[] | undefined>>;

interface Meaning {
  readonly code: ErrorCode;
  readonly advice: string;
}

const gated: Meaning = {
  code: 'HUB_UNAUTHORIZED',
  advice:
    'the repository is gated; accept its terms on the hub, then name a Secret with a token of that account in tokenSecretRef, or set HF_TOKEN on one machine',
};
const noAccess: Meaning = {
  code: 'HUB_FORBIDDEN',
  advice:
    'the token gives no access; accept the terms of the repository with its account, and let the token read gated repositories',
};
const badToken: Meaning = {
  code: 'HUB_UNAUTHORIZED',
  advice:
    'the hub wants a token, or does not accept the one it got; renew the one in tokenSecretRef, or HF_TOKEN on one machine',
};
const noRepo: Meaning = {
  code: 'HUB_REPO_NOT_FOUND',
  advice:
    'there is no such repository, or it is hidden; check spec.model.huggingFace.repo, and name a Secret with a token in tokenSecretRef if it is private',
};
const noRevision: Meaning = {
  code: 'HUB_REVISION_NOT_FOUND',
  advice:
    'the repository has no such branch, tag or commit; correct spec.model.huggingFace.revision',
};
const noFile: Meaning = {
  code: 'MODEL_FILES_MISSING',
  advice: 'the hub does not have it any more',
};

/** By X-Error-Code and status, by X-Error-Code alone, by status alone: the first that fits. */
const meanings: ReadonlyMap<string, Meaning> = new Map([
  ['GatedRepo 403', noAccess],
  ['GatedRepo', gated],
  ['RevisionNotFound', noRevision],
  ['EntryNotFound', noFile],
  ['RepoNotFound', noRepo],
  ['401', badToken],
  ['403', noAccess],
  ['404', noRepo],
]);

/** For an answer of the hub itself. `what` is what was asked for. */
export function refusal(
  what: string,
  { status, headers }: { status: number; headers: Headers },
  now: number,
): AppError {
  if (status === 429) return rateLimited(what, retryAfterSeconds(headers, now));
  if (status >= 500 || status === 408) return unreachable(what, `the hub answered ${status}`);
  const reason = header(headers, 'x-error-code') ?? '';
  const meaning =
    meanings.get(`${reason} ${status}`) ?? meanings.get(reason) ?? meanings.get(String(status));
  if (meaning) return new AppError(meaning.code, `downloading ${what}: ${meaning.advice}`);
  const said = header(headers, 'x-error-message') ?? STATUS_CODES[status];
  return notTheHub(what, `it answered ${status} ${said}`);
}

/** For an answer of the storage that the hub sends us to: signed addresses run out, the next one may do. */
export const storageFailed = (what: string, status: number): AppError =>
  unreachable(what, `the storage of the hub answered ${status}`);

export function connectionLost(what: string, cause: unknown): AppError {
  const text = cause instanceof Error ? cause.message || codeOf(cause) : String(cause);
  return unreachable(what, `the connection failed: ${text}`, cause);
}

/** Of a host with several addresses there is an error for each, and no message. */
const codeOf = (err: Error): string => ('code' in err ? String(err.code) : err.name);

function unreachable(what: string, problem: string, cause?: unknown): AppError {
  const advice = 'check HF_ENDPOINT, the proxies and the network if it goes on';
  return new AppError('HUB_UNREACHABLE', `downloading ${what}: ${problem}; ${advice}`, { cause });
}

/** A login page of a proxy, a mirror that lacks a part. */
export function notTheHub(what: string, problem: string, cause?: unknown): AppError {
  const advice = 'that is not how the hub answers, check HF_ENDPOINT and the proxies';
  return new AppError('HUB_ANSWER_INVALID', `downloading ${what}: ${problem}; ${advice}`, {
    cause,
  });
}

function rateLimited(what: string, seconds: number | undefined): AppError {
  const when = seconds === undefined ? 'later' : `in ${seconds} s`;
  const problem = `the hub was asked too often; it may be asked again ${when}, and a token raises the limit`;
  return new AppError('HUB_RATE_LIMITED', `downloading ${what}: ${problem}`, {
    ...(seconds !== undefined && { retryAfterSeconds: seconds }),
  });
}

/** From Retry-After, in either form, or from RateLimit, `"api";r=0;t=55` (huggingface.co/docs/hub/rate-limits). */
function retryAfterSeconds(headers: Headers, now: number): number | undefined {
  const after = header(headers, 'retry-after');
  if (after !== undefined) {
    const seconds = /^\d+$/.test(after) ? Number(after) : (Date.parse(after) - now) / 1000;
    if (!Number.isNaN(seconds)) return Math.max(0, Math.ceil(seconds));
  }
  const [, reset] = /;\s*t\s*=\s*(\d+)/.exec(header(headers, 'ratelimit') ?? '') ?? [];
  return reset === undefined ? undefined : Number(reset);
}

export function header(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}
