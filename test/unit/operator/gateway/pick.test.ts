import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Endpoint } from '../../../../operator/gateway/backend.ts';
import { type Choice, pick, rendezvous } from '../../../../operator/gateway/pick.ts';
import type { ServerState } from '../../../../server/contract.ts';
import { endpoint, resident, state } from '../../../support/gateway-kit.ts';

const pods = (count: number): Endpoint[] =>
  Array.from({ length: count }, (_, i) => endpoint({ id: `pod-${i}` }));

interface Given {
  endpoints: Endpoint[];
  states?: Record<string, ServerState>;
  loads?: Record<string, number>;
  concurrency?: number;
  model?: string;
}

const choice = ({
  endpoints,
  states = {},
  loads = {},
  concurrency = 4,
  model = 'rl/m',
}: Given): Choice => ({
  model,
  concurrency,
  endpoints,
  stateOf: ({ id }) => states[id],
  inFlight: ({ id }) => loads[id] ?? 0,
});

describe('pick', () => {
  it('finds none where there is none', () => {
    assert.equal(pick(choice({ endpoints: [] })), undefined);
  });

  const cases: { name: string; given: Omit<Given, 'endpoints'>; want: string }[] = [
    {
      name: 'takes the pod that holds the model',
      given: { states: { 'pod-2': state({ models: [resident('rl/m')] }) }, loads: { 'pod-2': 3 } },
      want: 'pod-2',
    },
    {
      name: 'takes the pod that loads the model already',
      given: { states: { 'pod-1': state({ models: [resident('rl/m', 'Loading')] }) } },
      want: 'pod-1',
    },
    {
      name: 'takes the less loaded of two busy holders',
      given: {
        states: {
          'pod-0': state({ models: [resident('rl/m')] }),
          'pod-1': state({ models: [resident('rl/m')] }),
        },
        loads: { 'pod-0': 3, 'pod-1': 2 },
      },
      want: 'pod-1',
    },
    {
      name: 'takes a calm holder before a busy one',
      given: {
        states: {
          'pod-0': state({ models: [resident('rl/m')] }),
          'pod-1': state({ models: [resident('rl/m')] }),
        },
        loads: { 'pod-0': 2, 'pod-1': 1 },
      },
      want: 'pod-1',
    },
    {
      name: 'leaves a holder without free slots',
      given: {
        states: { 'pod-0': state({ models: [resident('rl/m')] }) },
        loads: { 'pod-0': 4, 'pod-1': 1, 'pod-2': 4 },
      },
      want: 'pod-1',
    },
    {
      name: 'does not count a failed load as holding',
      given: {
        states: { 'pod-0': state({ models: [resident('rl/m', 'Failed')] }) },
        loads: { 'pod-0': 3, 'pod-1': 3 },
      },
      want: 'pod-2',
    },
    {
      name: 'leaves a draining holder',
      given: {
        states: { 'pod-0': state({ models: [resident('rl/m')], isDraining: true }) },
        loads: { 'pod-1': 9 },
      },
      want: 'pod-2',
    },
    {
      name: 'takes the least loaded when every pod is full',
      given: { loads: { 'pod-0': 9, 'pod-1': 7, 'pod-2': 8 } },
      want: 'pod-1',
    },
  ];
  for (const { name, given, want } of cases) {
    it(name, () => assert.equal(pick(choice({ endpoints: pods(3), ...given }))?.id, want));
  }

  it('spreads a hot model over its holders, and comes back to one of them when it is calm', () => {
    const holders = Object.fromEntries(
      pods(3).map(({ id }) => [id, state({ models: [resident('rl/m')] })]),
    );
    const used = (requests: number): string[] => {
      const loads: Record<string, number> = {};
      for (let i = 0; i < requests; i++) {
        const chosen = pick(choice({ endpoints: pods(3), states: holders, loads }));
        if (chosen) loads[chosen.id] = (loads[chosen.id] ?? 0) + 1;
      }
      return Object.keys(loads);
    };

    assert.deepEqual([used(1).length, used(2).length, used(12).length], [1, 1, 3]);
  });

  it('takes a draining pod rather than none', () => {
    const draining = { 'pod-0': state({ isDraining: true }) };

    assert.equal(pick(choice({ endpoints: pods(1), states: draining }))?.id, 'pod-0');
  });

  it('takes one of the endpoints, the same one in whatever order they come', () => {
    const loads = fc.dictionary(fc.constantFrom('pod-0', 'pod-1', 'pod-2'), fc.nat(6));
    fc.assert(
      fc.property(fc.shuffledSubarray(pods(5), { minLength: 1 }), loads, (endpoints, load) => {
        const chosen = pick(choice({ endpoints, loads: load }));
        const again = pick(choice({ endpoints: endpoints.toReversed(), loads: load }));

        assert.ok(chosen && endpoints.includes(chosen));
        assert.equal(again, chosen);
      }),
    );
  });

  it('spreads many models over the pods, none with more than twice its share', () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 3000; i++) {
      const chosen = pick(choice({ endpoints: pods(6), model: `rl/model-${i}` }));
      counts.set(chosen?.id ?? '', (counts.get(chosen?.id ?? '') ?? 0) + 1);
    }

    assert.equal(counts.size, 6);
    assert.ok(Math.max(...counts.values()) < 1000, JSON.stringify([...counts]));
  });
});

describe('rendezvous', () => {
  it('moves only the models of the pod that goes', () => {
    const before = pods(5);
    const after = before.slice(1);
    for (let i = 0; i < 200; i++) {
      const [first, second] = rendezvous(`rl/model-${i}`, before);
      const [now] = rendezvous(`rl/model-${i}`, after);

      assert.equal(now, first === before[0] ? second : first);
    }
  });
});
