import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  type StartingPool,
  StartRoom,
} from '../../../../../operator/controller/plan/start-room.ts';
import type { Pod } from '../../../../../operator/kube/resources.ts';
import { gpuClass } from '../../../../support/builders.ts';
import { container, deployment, pod, readyPod, terminating } from '../../../../support/facts.ts';

const ofClass = (name: string, maxStarting?: number) =>
  gpuClass({ metadata: { name }, spec: { ...(maxStarting !== undefined && { maxStarting }) } });
const pool = (
  replicas: number,
  pods: Pod[] = [],
  more: Partial<StartingPool> = {},
): StartingPool => ({
  namespace: 'rl',
  gpuClass: ofClass('cpu', 2),
  deployment: deployment(replicas),
  pods,
  ...more,
});
const asleep = pool(0);

const crashing = pod('pod-1', {
  containerStatuses: [
    container({ restartCount: 4, lastState: { terminated: { exitCode: 1, reason: 'Error' } } }),
  ],
});
const unschedulable = pod('pod-1', {
  conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }],
});

describe('StartRoom', () => {
  const cases: { name: string; there: StartingPool[]; want: number }[] = [
    { name: 'all of it while nothing starts', there: [], want: 2 },
    { name: 'less by a pod that is not made yet', there: [pool(1)], want: 1 },
    { name: 'less by a pod that is not ready', there: [pool(1, [pod()])], want: 1 },
    { name: 'all of it beside pods that are ready', there: [pool(1, [readyPod()])], want: 2 },
    { name: 'none while as many start', there: [pool(1), pool(3, [readyPod()])], want: 0 },
    { name: 'all of it beside a pod that crashes', there: [pool(1, [crashing])], want: 2 },
    { name: 'less by a pod that waits for a node', there: [pool(1, [unschedulable])], want: 1 },
    { name: 'all of it beside pods that end', there: [pool(0, [terminating(pod())])], want: 2 },
    {
      name: 'all of it while pods of other classes and namespaces start',
      there: [pool(5, [], { namespace: 'x' }), pool(5, [], { gpuClass: ofClass('y', 2) })],
      want: 2,
    },
  ];
  for (const { name, there, want } of cases) {
    it(`has ${name}`, () => assert.equal(new StartRoom(there).take(asleep, 9), want));
  }

  it('has no end for a class that sets none, or is gone', () => {
    const room = new StartRoom([]);

    assert.equal(room.take(pool(0, [], { gpuClass: ofClass('cpu') }), 100), 100);
    assert.equal(room.take(pool(0, [], { gpuClass: undefined }), 100), 100);
  });

  it('never lets more start than the class says, whoever asks in whatever order', () => {
    const count = fc.nat({ max: 5 });
    fc.assert(
      fc.property(fc.array(count), fc.array(count), count, (there, asked, most) => {
        const own = { gpuClass: ofClass('cpu', most + 1) };
        const room = new StartRoom(there.map((replicas) => pool(replicas, [], own)));
        const granted = asked.map((wanted) => room.take(pool(0, [], own), wanted));

        const starting = there.reduce((sum, each) => sum + each, 0);
        const more = granted.reduce((sum, each) => sum + each, 0);
        assert.ok(more <= Math.max(0, most + 1 - starting), `${more} beside ${starting}`);
        assert.ok(granted.every((each, i) => each >= 0 && each <= (asked[i] ?? 0)));
      }),
    );
  });
});
