// What is known about a checkpoint from its config.json alone: the tensors it must have, and how its graph is made.
import type { Rope } from '../blocks/rope.ts';
import type { Weights } from '../blocks/weights.ts';
import type { Graph } from '../graph.ts';
import type { Target } from '../target.ts';
import type { Task } from './common.ts';
import { type Decoder, decoderGraph } from './decoder.ts';
import { inventory, type TensorSpec } from './inventory.ts';

export interface Blueprint {
  readonly task: Task;
  /** Of a reward model: how many scores a row gets. */
  readonly labels?: number;
  readonly vocabularySize: number;
  /** Longest sequence that the checkpoint is made for. */
  readonly contextTokens: number;
  readonly ropes: readonly Rope[];
  readonly tensors: readonly TensorSpec[];
  readonly decoder: Decoder;
  graph(weights: Weights, target?: Target): Graph;
}

export function blueprintOf(decoder: Decoder): Blueprint {
  const { head, vocabularySize, contextTokens, ropes } = decoder;
  return {
    task: head.task,
    ...(head.task === 'Reward' && { labels: head.score.rows }),
    vocabularySize,
    contextTokens,
    ropes,
    tensors: inventory((weights) => decoderGraph(decoder, weights)),
    decoder,
    graph: (weights, target) => decoderGraph(decoder, weights, target),
  };
}
