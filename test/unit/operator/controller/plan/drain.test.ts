import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { planDrain } from '../../../../../operator/controller/plan/drain.ts';
import { nameOf } from '../../../../../operator/controller/plan/pods.ts';
import type { Pod } from '../../../../../operator/kube/resources.ts';
import { made } from '../../../../support/facts.ts';
import { drainMs, PoolRun, podOf } from '../../../../support/pool-run.ts';

interface Row {
  name: string;
  replicas: number;
  pods: string;
  wanted: number;
  busy?: string;
  worth?: string;
  want: { close?: string; open?: string; release?: string; replicas: number };
}
const rows: Row[] = [
  { name: 'as many as wanted', replicas: 2, pods: 'a b', wanted: 2, want: { replicas: 2 } },
  { name: 'more wanted, none made', replicas: 0, pods: '', wanted: 1, want: { replicas: 1 } },
  { name: 'more wanted', replicas: 1, pods: 'a', wanted: 3, want: { replicas: 3 } },
  {
    name: 'more wanted, one of them is being made',
    replicas: 2,
    pods: 'a',
    wanted: 2,
    want: { replicas: 2 },
  },
  {
    name: 'more wanted, and a closed one there',
    replicas: 2,
    pods: 'a b-',
    wanted: 3,
    want: { open: 'b', replicas: 3 },
  },
  {
    name: 'more wanted, the closed one is about to be deleted',
    replicas: 1,
    pods: 'a b~',
    wanted: 2,
    want: { replicas: 2 },
  },
  {
    name: 'fewer: the youngest is closed',
    replicas: 2,
    pods: 'a b',
    wanted: 1,
    want: { close: 'b', replicas: 2 },
  },
  {
    name: 'fewer: one that is not ready before one that is',
    replicas: 2,
    pods: 'a? b',
    wanted: 1,
    want: { close: 'a', replicas: 2 },
  },
  {
    name: 'fewer: one that holds nothing before one that holds models',
    replicas: 2,
    pods: 'a b',
    wanted: 1,
    worth: 'b',
    want: { close: 'a', replicas: 2 },
  },
  {
    name: 'fewer: one that was not made yet needs no closing',
    replicas: 3,
    pods: 'a b',
    wanted: 2,
    want: { replicas: 2 },
  },
  {
    name: 'fewer, closed already and busy',
    replicas: 2,
    pods: 'a b-',
    wanted: 1,
    busy: 'b',
    want: { replicas: 2 },
  },
  {
    name: 'fewer, closed already and empty',
    replicas: 2,
    pods: 'a b-',
    wanted: 1,
    want: { release: 'b', replicas: 1 },
  },
  {
    name: 'fewer, busy for longer than it may',
    replicas: 2,
    pods: 'a b=',
    wanted: 1,
    busy: 'b',
    want: { release: 'b', replicas: 1 },
  },
  {
    name: 'fewer, its deletion is asked for already',
    replicas: 1,
    pods: 'a b~',
    wanted: 1,
    want: { replicas: 1 },
  },
  {
    name: 'fewer: of two closed ones the empty one, whose deletion is to be the cheapest',
    replicas: 3,
    pods: 'a b- c-',
    wanted: 1,
    busy: 'b',
    want: { release: 'c', replicas: 2 },
  },
  {
    name: 'more wanted: the closed one that nobody is about to delete',
    replicas: 2,
    pods: 'a b~ c-',
    wanted: 2,
    want: { open: 'c', replicas: 2 },
  },
  {
    name: 'released, but replicas were never lowered: like any closed one',
    replicas: 2,
    pods: 'a b~',
    wanted: 2,
    want: { open: 'b', replicas: 2 },
  },
  { name: 'fewer, and it ends', replicas: 1, pods: 'a b!', wanted: 1, want: { replicas: 1 } },
  {
    name: 'more wanted in the middle of a roll-out',
    replicas: 1,
    pods: 'a b?',
    wanted: 2,
    want: { replicas: 2 },
  },
  {
    name: 'a pod more than replicas is one of a roll-out, and stays',
    replicas: 1,
    pods: 'a b?',
    wanted: 1,
    want: { replicas: 1 },
  },
  {
    name: 'none: all are closed first',
    replicas: 2,
    pods: 'a b',
    wanted: 0,
    want: { close: 'b a', replicas: 2 },
  },
  {
    name: 'none: a busy one keeps all',
    replicas: 2,
    pods: 'a- b-',
    wanted: 0,
    busy: 'a',
    want: { replicas: 2 },
  },
  { name: 'none, all empty', replicas: 2, pods: 'a- b-', wanted: 0, want: { replicas: 0 } },
  { name: 'none, and none was made', replicas: 1, pods: '', wanted: 0, want: { replicas: 0 } },
  {
    name: 'none, in the middle of a roll-out that does not get on',
    replicas: 1,
    pods: 'a- b?',
    wanted: 0,
    want: { close: 'b', replicas: 1 },
  },
];

describe('planDrain', () => {
  for (const { name, pods, busy = '', worth = '', want, ...rest } of rows) {
    it(name, () => {
      const plan = planDrain(
        {
          ...rest,
          pods: pods.split(' ').filter(Boolean).map(podOf),
          mayBeBusy: (each) => busy.includes(each),
          worth: (each) => Number(worth.includes(each)),
          drainMs,
        },
        made,
      );

      const names = (list: Pod[]) => list.map(nameOf).join(' ');
      const { close, open, release, replicas } = plan;
      assert.deepEqual(
        { close: names(close), open: names(open), release: names(release), replicas },
        { close: '', open: '', release: '', ...want },
      );
    });
  }

  it('loses no request and leaves no waiter alone, in any interleaving', () => {
    const kind = fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom('ask' as const, 'tick' as const) },
      {
        weight: 2,
        arbitrary: fc.constantFrom('sync' as const, 'replicate' as const, 'start' as const),
      },
      {
        weight: 1,
        arbitrary: fc.constantFrom('answer' as const, 'silence' as const, 'rest' as const),
      },
    );
    const operation = fc.record({ kind, which: fc.nat(9) });
    fc.assert(
      fc.property(
        fc.array(operation, { minLength: 20, maxLength: 150, size: 'max' }),
        (operations) => {
          const run = new PoolRun();
          for (const { kind, which } of operations) run[kind](which);
          run.finish();
        },
      ),
      { numRuns: 1000 },
    );
  });
});
