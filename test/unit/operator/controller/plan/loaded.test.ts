import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ModelFacts } from '../../../../../operator/controller/plan/facts.ts';
import { loaded } from '../../../../../operator/controller/plan/loaded.ts';
import { judge } from '../../../../../operator/verdict.ts';
import { gpuClass, referenceModel } from '../../../../support/builders.ts';
import {
  deployment,
  factsOf,
  made,
  modelState,
  modelThatWas,
  pod,
  readyPod,
  withPod,
} from '../../../../support/facts.ts';

const wasLoaded = modelThatWas(
  'Loaded',
  { status: 'True', reason: 'Resident' },
  { loadedOn: ['pod-1'] },
);
const was = (reason: string) => modelThatWas('Loaded', { status: 'False', reason });
const starting = { deployment: deployment(1), pods: [pod()] };
const unreported = { deployment: deployment(1), pods: [readyPod()] };
const refused = { problem: { reason: 'UnsupportedTask', message: '' } };

const table: { name: string; given: ModelFacts; want: string }[] = [
  { name: 'the model is refused', given: factsOf({ verdict: refused }), want: 'False NotAccepted' },
  { name: 'a pod holds it', given: withPod([modelState()]), want: 'True Resident' },
  { name: 'it was never asked for', given: factsOf(), want: 'False NotRequested' },
  {
    name: 'it is asked for and its pod is not made yet',
    given: factsOf({ asked: 1, lastActivity: made }),
    want: 'False Starting',
  },
  {
    name: 'it is asked for and other pods of its class start first',
    given: factsOf({
      asked: 1,
      verdict: judge(referenceModel({ spec: { gpuClass: 'cpu' } }), [
        gpuClass({ spec: { maxStarting: 1 } }),
      ]),
    }),
    want: 'False Queued',
  },
  {
    name: 'its pods went after requests',
    given: factsOf({ lastActivity: made }),
    want: 'False ScaledToZero',
  },
  {
    name: 'its pods went before a restart of everything',
    given: factsOf({
      model: referenceModel({ status: { lastRequestTime: '2026-01-01T00:00:00Z' } }),
    }),
    want: 'False ScaledToZero',
  },
  ...(['Downloading', 'Converting', 'Loading'] as const).map((residency) => ({
    name: `a pod loads it, and is ${residency}`,
    given: withPod([modelState({ residency })]),
    want: `False ${residency}`,
  })),
  {
    name: 'a pod failed to load it',
    given: withPod([modelState({ residency: 'Failed', error: { code: 'X', message: '' } })]),
    want: 'False LoadFailed',
  },
  {
    name: 'a pod starts for it',
    given: factsOf({ ...starting, asked: 1 }),
    want: 'False Starting',
  },
  {
    name: 'a pod starts for another model',
    given: factsOf(starting),
    want: 'False NotRequested',
  },
  {
    name: 'a pod starts and will load it unasked',
    given: factsOf({ ...starting, model: referenceModel({ spec: { preload: true } }) }),
    want: 'False Starting',
  },
  {
    name: 'a pod is ready for it and no gateway has heard from that pod',
    given: factsOf({ ...unreported, asked: 1 }),
    want: 'False Starting',
  },
  {
    name: 'no gateway reports',
    given: factsOf(unreported),
    want: 'Unknown NoReport',
  },
  {
    name: 'no gateway reports any more',
    given: factsOf({ ...unreported, model: wasLoaded }),
    want: 'True Resident',
  },
  {
    name: 'its pod gave it up for another model',
    given: withPod([modelState({ name: 'rl/other' })], { model: wasLoaded }),
    want: 'False Evicted',
  },
  {
    name: 'it was evicted and nobody asks for it',
    given: withPod([], { model: was('Evicted') }),
    want: 'False Evicted',
  },
  {
    name: 'it was evicted and is asked for again',
    given: withPod([], { model: was('Evicted'), asked: 1 }),
    want: 'False Starting',
  },
  {
    name: 'its pod was replaced',
    given: withPod([], {
      model: modelThatWas(
        'Loaded',
        { status: 'True', reason: 'Resident' },
        { loadedOn: ['pod-0'] },
      ),
    }),
    want: 'False PodLost',
  },
  {
    name: 'its pool slept and was woken for another model',
    given: withPod([], { model: was('ScaledToZero') }),
    want: 'False NotRequested',
  },
];

describe('loaded', () => {
  for (const { name, given, want } of table) {
    it(`is ${want} when ${name}`, () => {
      const { status, reason } = loaded(given);

      assert.equal(`${status} ${reason}`, want);
    });
  }
});
