// How long the last cold start took, phase by phase, from what pod and model report. Pure.
import type { ReferenceModelStatus } from '../../../crds/reference-model.ts';
import type { Holding } from './facts.ts';
import { startOf } from './pods.ts';

type ColdStart = NonNullable<ReferenceModelStatus['coldStart']>;

/** A load that began so soon after its pod was ready was what the pod was started for. Milliseconds. */
const soonMs = 10_000;

/**
 * Seconds as strings. The phases of the pod are in it only if it started for this model: a reload in a warm
 * pod is download, conversion and load alone. `now` is when the model was first seen loaded.
 */
export function coldStart({ pod, state }: Holding, now: number): ColdStart | undefined {
  if (!state.seconds) return undefined;
  const { download, convert, load } = state.seconds;
  const loadSeconds = download + convert + load;
  const { created, scheduled, started, ready } = startOf(pod);
  const loadBegan = now - loadSeconds * 1000;
  const isOfPod = ready !== undefined && loadBegan - ready < soonMs;
  const podSeconds = isOfPod ? between(created, ready) : 0;
  return {
    ...(isOfPod && {
      schedule: seconds(between(created, scheduled)),
      image: seconds(between(scheduled, started)),
    }),
    ...(download > 0 && { download: seconds(download) }),
    convert: seconds(convert),
    load: seconds(load),
    total: seconds(podSeconds + loadSeconds),
  };
}

/** Seconds; the API server tells times of pods to the second. */
const between = (from: number | undefined, to: number | undefined): number =>
  from === undefined || to === undefined ? 0 : Math.max(0, to - from) / 1000;

const seconds = (value: number): string => String(Math.round(value * 1000) / 1000);
