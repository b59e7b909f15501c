// Requests about the leases of runs: set, renewed, listed, ended. What a lease keeps warm is decided where pods are
// scaled.
import { z } from 'zod';
import type { Clock } from '../../common/clock.ts';
import { AppError } from '../../common/errors.ts';
import type { RunLease } from '../lease.ts';
import type { Backend, GatewayModel } from './backend.ts';
import { findModel } from './route.ts';

export interface LeaseOptions {
  backend: Backend;
  clock: Clock;
}

/** Runs beyond these are turned away: each is an object that every gateway and the operator keep. */
const maxLeases = 1000;
const maxSeconds = 7 * 24 * 3600;

const runName = /^[\w][\w.:@-]{0,127}$/;
const leaseBody = z.object({
  models: z.array(z.string().max(256)).min(1).max(64).optional(),
  ttl_seconds: z.number().min(1).max(maxSeconds).default(600),
});

export interface LeaseRequest {
  method: string;
  /** From its path; undefined: all of them are meant. */
  run: string | undefined;
  body: Buffer | undefined;
  /** The model that its address names: then the body need not. */
  addressed: GatewayModel | undefined;
}

/** The run that a path is about, if it is about leases. */
export function leasePath(path: string): { run: string | undefined } | undefined {
  const [all, run] = /^\/v1\/leases(?:\/([^/]*))?\/?$/.exec(path) ?? [];
  return all === undefined ? undefined : { run: run || undefined };
}

/** The answer to a request about leases. */
export async function answerLease(
  request: LeaseRequest,
  { backend, clock }: LeaseOptions,
  signal: AbortSignal,
): Promise<object> {
  const { method, run } = request;
  const isRead = method === 'GET' || method === 'HEAD';
  if (run === undefined && isRead) {
    return { leases: backend.leases().map((lease) => shown(lease, clock.now())) };
  }
  if (run === undefined || !['PUT', 'DELETE'].includes(method)) {
    throw new AppError('METHOD_NOT_ALLOWED', `${method} is not allowed on a lease`);
  }
  if (!runName.test(run)) {
    const rule = 'up to 128 letters, digits and . _ : @ -';
    throw new AppError('INVALID_REQUEST', `reading the lease: the name of a run is ${rule}`);
  }
  if (method === 'DELETE') {
    const removed = backend.leases().filter((lease) => lease.run === run);
    await backend.dropLease(run, signal).catch(refuse);
    return { removed: removed.map((lease) => lease.run) };
  }
  const lease = requested(run, request, { backend, clock });
  await backend.keepLease(lease, signal).catch(refuse);
  return shown(lease, clock.now());
}

function requested(
  run: string,
  { body, addressed }: LeaseRequest,
  { backend, clock }: LeaseOptions,
): RunLease {
  const { models, ttl_seconds } = readBody(body);
  const known = backend.models();
  const named = models?.map((name) => findModel(name, known)) ?? (addressed ? [addressed] : []);
  if (named.length === 0) {
    throw new AppError('INVALID_REQUEST', 'reading the lease: it names no model in "models"');
  }
  const leases = backend.leases();
  if (leases.length >= maxLeases && !leases.some((lease) => lease.run === run)) {
    throw notKept(`there are ${leases.length} already`);
  }
  const keys = [...new Set(named.map(({ key }) => key))].sort();
  return { run, models: keys, expiresAt: clock.now() + ttl_seconds * 1000 };
}

function readBody(body: Buffer | undefined): z.output<typeof leaseBody> {
  const text = body && body.length > 0 ? body.toString('utf8') : '{}';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new AppError('MALFORMED_JSON', 'reading the lease: the body is not JSON', { cause });
  }
  const { data, error } = leaseBody.safeParse(value);
  if (data) return data;
  throw new AppError('INVALID_REQUEST', `reading the lease: ${z.prettifyError(error)}`);
}

const notKept = (why: string, cause?: unknown) =>
  new AppError('LEASE_NOT_KEPT', `keeping a lease: ${why}`, { cause });

/** What the backend could not do now, it may do later. */
function refuse(err: unknown): never {
  throw err instanceof AppError ? notKept(err.message, err) : err;
}

const shown = ({ run, models, expiresAt }: RunLease, now: number) => ({
  run,
  models,
  ttl_seconds: Math.max(0, Math.ceil((expiresAt - now) / 1000)),
  expires_at: new Date(expiresAt).toISOString(),
});
