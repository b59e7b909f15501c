// Which of the ready endpoints takes a request. Pure: the same inputs give the same answer in every gateway.
import type { ModelState, ServerState } from '../../server/contract.ts';
import type { ModelKey } from '../pool.ts';
import type { Endpoint } from './backend.ts';

export interface Choice {
  model: ModelKey;
  /** Requests that an endpoint takes at a time before another one is preferred. */
  concurrency: number;
  endpoints: readonly Endpoint[];
  /** What the endpoint holds; undefined while that is not known. */
  stateOf: (endpoint: Endpoint) => ServerState | undefined;
  /** Requests that this gateway has sent to the endpoint and that are not answered yet. */
  inFlight: (endpoint: Endpoint) => number;
}

/** How far above the average an endpoint may be loaded before its models spill to the next one. */
const loadFactor = 1.25;
/** Of the slots of an endpoint, how many may be taken while it is calm: then more endpoints gain little. */
const calmPart = 0.5;

/**
 * 1. an endpoint that holds the model, or loads it, with free slots: the first in the model's own order that is calm,
 *    so that a model comes back to few endpoints after a rush; while none is calm, the least loaded of them;
 * 2. else the first in the model's own order of endpoints whose load is bounded
 *    (rendezvous hashing, Thaler and Ravishankar 1998; bounded loads, Mirrokni, Thorup and Zadimoghaddam 2018);
 * 3. else the least loaded one.
 * A draining endpoint is taken only when there is no other. Undefined when there is none at all.
 */
export function pick(choice: Choice): Endpoint | undefined {
  if (choice.endpoints.length < 2) return choice.endpoints[0];
  const { model, inFlight } = choice;
  const staying = choice.endpoints.filter((e) => !choice.stateOf(e)?.isDraining);
  const candidates = staying.length > 0 ? staying : choice.endpoints;
  const hasSlot = (endpoint: Endpoint) => inFlight(endpoint) < choice.concurrency;
  const holders = candidates.filter((e) => hasSlot(e) && isHolder(choice.stateOf(e), model));
  const isCalm = (endpoint: Endpoint) => inFlight(endpoint) < choice.concurrency * calmPart;
  const calm = rendezvous(model, holders.filter(isCalm))[0];
  if (holders.length > 0) return calm ?? leastLoaded(holders, choice);

  const total = candidates.reduce((sum, endpoint) => sum + inFlight(endpoint), 0);
  const bound = Math.ceil((loadFactor * (total + 1)) / candidates.length);
  const isBounded = (endpoint: Endpoint) => hasSlot(endpoint) && inFlight(endpoint) < bound;
  return rendezvous(model, candidates.filter(isBounded))[0] ?? leastLoaded(candidates, choice);
}

function isHolder(state: ServerState | undefined, model: ModelKey): boolean {
  const held = (m: ModelState) => m.name === model && m.residency !== 'Failed';
  return state?.models.some(held) ?? false;
}

/** The first by load; between equals, by the model's own order, so that gateways agree. */
function leastLoaded(endpoints: readonly Endpoint[], choice: Choice): Endpoint | undefined {
  const ranked = rendezvous(choice.model, endpoints);
  return ranked.sort((a, b) => choice.inFlight(a) - choice.inFlight(b))[0];
}

/** Endpoints in the order of their hash with the model: losing one moves only what it had. */
export function rendezvous(model: ModelKey, endpoints: readonly Endpoint[]): Endpoint[] {
  const weighed = endpoints.map((endpoint) => ({
    endpoint,
    weight: hash(`${model}\n${endpoint.id}`),
  }));
  weighed.sort((a, b) => b.weight - a.weight || (a.endpoint.id < b.endpoint.id ? -1 : 1));
  return weighed.map(({ endpoint }) => endpoint);
}

/** 32 bits: FNV-1a over UTF-16 units, then the MurmurHash3 finalizer, which spreads the last characters. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
