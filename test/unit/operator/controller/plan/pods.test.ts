import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { failureOf, isReady, startOf } from '../../../../../operator/controller/plan/pods.ts';
import { container, made, pod, readyPod, terminating } from '../../../../support/facts.ts';

const waiting = (reason: string) =>
  pod('p', { containerStatuses: [container({ state: { waiting: { reason, message: 'why' } } })] });

const crashed = (reason: string) =>
  pod('p', {
    containerStatuses: [
      container({
        restartCount: 3,
        state: { waiting: { reason: 'CrashLoopBackOff' } },
        lastState: { terminated: { exitCode: 137, reason } },
      }),
    ],
  });

describe('failureOf', () => {
  const unschedulable = pod('p', {
    conditions: [
      { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes' },
    ],
  });
  const table = [
    { name: 'a pod that is ready', given: readyPod(), want: undefined },
    { name: 'a pod that starts', given: pod(), want: undefined },
    {
      name: 'a container that is being made',
      given: waiting('ContainerCreating'),
      want: undefined,
    },
    { name: 'a pod on its way out', given: terminating(crashed('Error')), want: undefined },
    { name: 'a pod that fits nowhere', given: unschedulable, want: 'Unschedulable' },
    { name: 'an image that is not there', given: waiting('ImagePullBackOff'), want: 'ImagePull' },
    { name: 'an image with a bad name', given: waiting('InvalidImageName'), want: 'ImagePull' },
    {
      name: 'a container that cannot be made',
      given: waiting('CreateContainerConfigError'),
      want: 'ContainerError',
    },
    {
      name: 'a container that was killed for memory',
      given: crashed('OOMKilled'),
      want: 'OOMKilled',
    },
    { name: 'a container that ends again and again', given: crashed('Error'), want: 'CrashLoop' },
    {
      name: 'a pod that the node threw out',
      given: pod('p', { phase: 'Failed', reason: 'Evicted', message: 'low on memory' }),
      want: 'PodFailed',
    },
  ];
  for (const { name, given, want } of table) {
    it(`tells of ${name}: ${want}`, () => assert.equal(failureOf(given)?.reason, want));
  }
});

describe('isReady', () => {
  it('is false for a pod on its way out', () => {
    assert.equal(isReady(readyPod()), true);
    assert.equal(isReady(terminating(readyPod())), false);
  });
});

describe('startOf', () => {
  it('gives the moments of a start, as far as they have come', () => {
    const { created, scheduled, started, ready } = startOf(readyPod());

    assert.deepEqual(
      [created, scheduled, started, ready].map((time) => (time ?? 0) - made),
      [0, 1000, 3000, 4000],
    );
    assert.equal(startOf(pod()).ready, undefined);
  });
});
