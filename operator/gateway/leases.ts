// Requests about the leases of runs: set, renewed, listed, ended. What a lease keeps warm is decided where pods are
// scaled.
import { z } from 'zod';
import type { Clock } from '../../common/clock.ts';
import { AppError } from '../../common/errors.ts';
import type { RunLease } from '../lease.ts';
import type { Access } from './access/access.ts';
import { leaseRight } from './access/rights.ts';
import type { Backend, GatewayModel } from './backend.ts';
import { findModel } from './route.ts';

export interface LeaseOptions {
  backend: Backend;
  access: Access;
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
  /** Of the caller. */
  token: string | undefined;
}

/** The run that a path is about, if it is about leases. */
export function leasePath(path: string): { run: string | undefined } | undefined {
  const [all, run] = /^\/v1\/leases(?:\/([^/]*))?\/?$/.exec(path) ?? [];
  return all === undefined ? undefined : { run: run || undefined };
}

/** The answer to a request about leases. */
export async function answerLease(
  request: LeaseRequest,
  options: LeaseOptions,
  signal: AbortSignal,
): Promise<object> {
  const { backend, clock } = options;
  const { method, run } = request;
  const isRead = method === 'GET' || method === 'HEAD';
  if (run === undefined && isRead) {
    const leases = await visible(request, options, signal);
    return { leases: leases.map((lease) => shown(lease, clock.now())) };
  }
  if (run === undefined || !['PUT', 'DELETE'].includes(method)) {
    throw new AppError('METHOD_NOT_ALLOWED', `${method} is not allowed on a lease`);
  }
  if (!runName.test(run)) {
    const rule = 'up to 128 letters, digits and . _ : @ -';
    throw new AppError('INVALID_REQUEST', `reading the lease: the name of a run is ${rule}`);
  }
  const before = backend.leases().filter((lease) => lease.run === run);
  if (method === 'DELETE') {
    await requireRight(before, request, options, signal);
    await backend.dropLease(run, signal).catch(refuse);
    return { removed: before.map((lease) => lease.run) };
  }
  const lease = requested(run, request, options);
  await requireRight([...before, lease], request, options, signal); // it takes the place of the one before
  await backend.keepLease(lease, signal).catch(refuse);
  return shown(lease, clock.now());
}

/** The models of a lease that there still are. */
const modelsOf = (lease: RunLease, backend: Backend): GatewayModel[] =>
  lease.models.flatMap((key) => backend.models().get(key) ?? []);

async function requireRight(
  leases: readonly RunLease[],
  { method, token }: LeaseRequest,
  { access, backend }: LeaseOptions,
  signal: AbortSignal,
): Promise<void> {
  const models = leases.flatMap((lease) => modelsOf(lease, backend));
  await access.require(models, leaseRight(method), token, signal);
}

/** Those with no model that the caller may know nothing of. */
async function visible(
  { method, token }: LeaseRequest,
  { access, backend }: LeaseOptions,
  signal: AbortSignal,
): Promise<RunLease[]> {
  const seen: RunLease[] = [];
  for (const lease of backend.leases()) {
    const models = modelsOf(lease, backend);
    if (await access.allows(models, leaseRight(method), token, signal)) seen.push(lease);
  }
  return seen;
}

function requested(
  run: string,
  { body, addressed }: LeaseRequest,
  { backend, clock }: Pick<LeaseOptions, 'backend' | 'clock'>,
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
