// What a native request asks of each of its rows. Pure.

import { AppError } from '../../../common/errors.ts';
import type { Asked, Candidates } from '../../model/scoring.ts';
import { type IdRow, rowLength } from '../rows.ts';
import { leastTemperature, temperature } from '../schemas.ts';
import { isList, type List } from '../wire/list.ts';
import { type Align, type Places, placesOf, scoredPositions } from './places.ts';
import type { LogprobsRequest, Output } from './request.ts';
import { invalid, perPlace, perRow, type Sequences } from './sequences.ts';

export interface RowAsk {
  readonly asked: Asked;
  readonly places: Places;
}

/** Throws INVALID_REQUEST naming the field, the row and the position. */
export function readAsks(body: LogprobsRequest, sequences: Sequences): RowAsk[] {
  const { rows, isPacked } = sequences;
  const wants = wantedOutputs(body);
  const align: Align = body.align ?? 'target';
  const scored = readPositions(body, sequences);
  const places = rows.map((row, r) => placesOf(row, scored[r] ?? none, align));
  const temperatures = readTemperatures(body, rows.length);
  const geometry = { lengths: places.map(({ length }) => length), isPacked };
  const lists = body.candidate_ids && perPlace('candidate_ids', body.candidate_ids, geometry);
  const wanted = {
    topK: wants.has('topk') || wants.has('tail') ? (body.top_k ?? 0) : 0,
    wantsRanks: wants.has('rank'),
    wantsEntropies: wants.has('entropy'),
    wantsNormalizers: wants.has('logsumexp'),
    wantsTails: wants.has('tail'),
    wantsHidden: wants.has('hidden_states'),
  };
  return places.map((at, r) => {
    const positions = scored[r] ?? none;
    const candidates = lists?.[r] && readCandidates(lists[r], at, r);
    return {
      places: at,
      asked: {
        ...wanted,
        positions,
        temperature: temperatures[r],
        ...(candidates && candidates.width > 0 && { candidates }),
      },
    };
  });
}

const none = new Int32Array();

/** Throws INVALID_REQUEST for what does not go together. */
export function wantedOutputs(body: LogprobsRequest): ReadonlySet<Output> {
  const hasTops = Boolean(body.top_k);
  const hasCandidates = Boolean(body.candidate_ids);
  const wants = new Set(body.outputs ?? defaultOutputs(hasTops, hasCandidates));
  if (wants.has('topk') && !hasTops) throw invalid('outputs', '"topk" needs top_k');
  if (wants.has('candidates') && !hasCandidates) {
    throw invalid('outputs', '"candidates" needs candidate_ids');
  }
  if (wants.has('tail') && !hasTops && !hasCandidates) {
    throw invalid('outputs', '"tail" needs top_k or candidate_ids: it is what they leave');
  }
  return wants;
}

function defaultOutputs(hasTops: boolean, hasCandidates: boolean): Output[] {
  const all = { logprobs: true, topk: hasTops, candidates: hasCandidates };
  return (['logprobs', 'topk', 'candidates'] as const).filter((output) => all[output]);
}

function readPositions(body: LogprobsRequest, { rows, isPacked, starts }: Sequences): Int32Array[] {
  const { prompt_lengths: prompts, score_start: start, score_mask: masks } = body;
  const given = [prompts, start, masks, starts].filter(
    (value) => value !== undefined && value !== null,
  );
  if (given.length > 1) {
    throw invalid(
      'prompt_lengths',
      'send prompt_lengths, score_start, score_mask or groups: one of them',
    );
  }
  const lengths = rows.map(({ ids }) => ids.length);
  const cut = masks && perPlace('score_mask', masks, { lengths, isPacked });
  const name = prompts ? 'prompt_lengths' : 'score_start';
  const from = perRow(name, prompts ?? start ?? starts ?? 0, rows.length);
  return rows.map((row, r) => {
    const mask = cut?.[r];
    if (mask?.some((value: unknown) => value !== 0 && value !== 1)) {
      throw invalid(`score_mask[${r}]`, 'expected only 0 and 1');
    }
    return scoredPositions(row, { start: readStart(name, from[r], { row, r }), mask });
  });
}

function readStart(name: string, value: unknown, { row, r }: { row: IdRow; r: number }): number {
  const length = rowLength(row);
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= length) {
    return value;
  }
  throw invalid(`${name}[${r}]`, `expected an integer from 0 to ${length}, the tokens of the row`);
}

function readTemperatures(body: LogprobsRequest, rows: number): number[] {
  return perRow('temperature', body.temperature ?? 1, rows).map((value, r) => {
    const parsed = temperature.safeParse(value);
    if (parsed.success) return parsed.data;
    throw invalid(`temperature[${r}]`, `expected a number of at least ${leastTemperature}`);
  });
}

function readCandidates(lists: List, { at }: Places, r: number): Candidates {
  const place = (i: number) => `candidate_ids[${r}][${at[i]}]`;
  const own = Array.from(at, (index, i) => {
    const ids = lists[index] ?? [];
    if (!isList(ids)) throw invalid(place(i), 'expected an array of token ids');
    return ids;
  });
  const width = own.reduce((most, ids) => Math.max(most, ids.length), 0);
  const all = new Int32Array(own.length * width).fill(-1);
  for (const [i, ids] of own.entries()) {
    for (const [c, id] of ids.entries())
      all[i * width + c] = readCandidate(id, `${place(i)}[${c}]`);
  }
  return { ids: all, width };
}

function readCandidate(id: unknown, place: string): number {
  if (typeof id !== 'number' || !Number.isInteger(id)) throw invalid(place, 'expected an integer');
  if (id >= -1 && id < 2 ** 31) return id;
  throw new AppError(
    'TOKEN_OUT_OF_RANGE',
    `reading ${place}: ${id} is in no vocabulary; -1 is for none`,
  );
}
