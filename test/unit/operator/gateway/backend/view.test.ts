import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defaultClassAnnotation } from '../../../../../crds/gpu-class.ts';
import {
  gatewayModel,
  poolEndpoints,
  poolsOf,
  unreadableModel,
} from '../../../../../operator/gateway/backend/view.ts';
import type { EndpointSlice } from '../../../../../operator/kube/resources.ts';
import { labelNames } from '../../../../../operator/pool.ts';
import { gpuClass, referenceModel } from '../../../../support/builders.ts';

const cpu = gpuClass({ metadata: { annotations: { [defaultClassAnnotation]: 'true' } } });

const accepted = (status: string, observedGeneration?: number) =>
  referenceModel({
    metadata: { generation: 2 },
    status: {
      conditions: [
        {
          type: 'Accepted',
          status,
          observedGeneration,
          reason: 'Why',
          message: 'because',
          lastTransitionTime: '2026-01-01T00:00:00Z',
        },
      ],
    },
  });

type SliceEndpoint = NonNullable<EndpointSlice['endpoints']>[number];
const slice = (
  endpoints: SliceEndpoint[],
  overrides: Partial<EndpointSlice> = {},
): EndpointSlice => ({
  addressType: 'IPv4',
  metadata: { name: 's', namespace: 'rl', labels: { [labelNames.pool]: 'rfm-pool-cpu' } },
  ports: [{ port: 8080 }],
  endpoints,
  ...overrides,
});
const pod = (
  name: string,
  address: string,
  conditions: SliceEndpoint['conditions'] = { ready: true },
): SliceEndpoint => ({
  addresses: [address],
  conditions,
  targetRef: { kind: 'Pod', name },
});

describe('gatewayModel', () => {
  it('promises no longer rows than the context of the model, once that is known', () => {
    const model = referenceModel({ status: { model: { contextTokens: 1024 } } });

    assert.equal(gatewayModel(model, [cpu]).maxSequenceTokens, 1024);
    assert.equal(gatewayModel(referenceModel(), [cpu]).maxSequenceTokens, 8192);
  });

  it('carries what the gateway needs', () => {
    const model = referenceModel({
      spec: {
        scaling: { concurrency: 3 },
        limits: { maxSequenceTokens: 9 },
        hold: { timeout: '5m', maxRequests: 7, maxBytes: '2Ki' },
      },
    });

    assert.deepEqual(gatewayModel(model, [cpu]), {
      key: 'rl/tiny',
      pool: 'rl/rfm-pool-cpu',
      acceptance: { state: 'Unknown' },
      access: 'Anonymous',
      hasLarger: false,
      concurrency: 3,
      hold: { timeoutMs: 300_000, maxRequests: 7, maxBytes: 2048 },
      maxSequenceTokens: 9,
      maxModels: 2,
    });
  });

  it('knows whether a larger class follows for a model that does not fit', () => {
    const large = gpuClass({ metadata: { name: 'large' }, spec: { memory: '64Gi' } });
    const cuda = { executionProvider: 'CUDA', memory: '64Gi' };
    const other = gpuClass({ metadata: { name: 'gpu' }, spec: cuda });
    const named = referenceModel({ spec: { gpuClass: 'cpu' } });

    assert.equal(gatewayModel(referenceModel(), [cpu, large]).hasLarger, true);
    assert.equal(gatewayModel(referenceModel(), [cpu, other]).hasLarger, false);
    assert.equal(gatewayModel(named, [cpu, large]).hasLarger, false);
  });

  it('has no pool without a class, and the one it had when its class is gone', () => {
    const named = referenceModel({ spec: { gpuClass: 'gone' } });

    assert.equal(gatewayModel(referenceModel(), []).pool, undefined);
    assert.equal(gatewayModel(named, []).pool, 'rl/rfm-pool-gone');
  });

  const cases = [
    { name: 'accepted', model: accepted('True', 2), want: 'Accepted' },
    { name: 'refused', model: accepted('False', 2), want: 'Refused' },
    { name: 'unknown', model: accepted('Unknown', 2), want: 'Unknown' },
    { name: 'judged by an older spec', model: accepted('False', 1), want: 'Unknown' },
    { name: 'judged without a generation', model: accepted('True'), want: 'Accepted' },
    { name: 'not judged', model: referenceModel(), want: 'Unknown' },
    {
      name: 'accepted by an operator of another version, but not by this one',
      model: referenceModel({ spec: { task: 'Reward', fidelity: { maxKL: '0.01' } } }),
      want: 'Refused',
    },
  ];
  for (const { name, model, want } of cases) {
    it(`is ${want} when ${name}`, () => {
      assert.equal(gatewayModel(model, [cpu]).acceptance.state, want);
    });
  }

  it('is known but refused when it cannot be read, and nothing of it is told to everybody', () => {
    const { acceptance, access } = unreadableModel('rl/new');

    assert.deepEqual([acceptance.state, access], ['Refused', 'Authenticated']);
  });

  it('says who may use it', () => {
    const guarded = referenceModel({ spec: { access: 'Authenticated' } });

    assert.equal(gatewayModel(guarded, [cpu]).access, 'Authenticated');
  });
});

describe('the endpoints of a pool', () => {
  const pool = 'rl/rfm-pool-cpu';
  const none = { ready: [], starting: [] };

  it('takes ready pods only, by name, and none that is going', () => {
    const slices = [
      slice([
        pod('c', '10.0.0.3'),
        pod('a', '10.0.0.1'),
        pod('starting', '10.0.0.4', { ready: false }),
        pod('going', '10.0.0.5', { ready: true, terminating: true, serving: true }),
        pod('untold', '10.0.0.6', {}),
      ]),
    ];

    const ids = poolEndpoints(pool, slices, none).ready.map(({ id }) => id);

    assert.deepEqual(ids, ['a', 'c', 'untold']);
  });

  it('knows those that are about to be ready, and keeps their objects too', () => {
    const starting = pod('starting', '10.0.0.4', { ready: false });
    const going = pod('going', '10.0.0.5', { ready: false, terminating: true });

    const first = poolEndpoints(pool, [slice([starting, going, pod('a', '10.0.0.1')])], none);
    const next = poolEndpoints(pool, [slice([starting, pod('a', '10.0.0.1')])], first);

    assert.deepEqual(
      first.starting.map(({ id }) => id),
      ['starting'],
    );
    assert.equal(next.starting[0], first.starting[0]);
  });

  it('counts a pod with two addresses once', () => {
    const slices = [
      slice([pod('a', '10.0.0.1')]),
      slice([pod('a', 'fd00::1')], { addressType: 'IPv6' }),
    ];

    assert.deepEqual(
      poolEndpoints(pool, slices, none).ready.map(({ host }) => host),
      ['10.0.0.1'],
    );
  });

  it('keeps the object of a pod that stays, and makes a new one for another address', () => {
    const before = poolEndpoints(
      pool,
      [slice([pod('a', '10.0.0.1'), pod('b', '10.0.0.2')])],
      none,
    ).ready;

    const slices = [slice([pod('a', '10.0.0.1'), pod('b', '10.0.0.9')])];
    const after = poolEndpoints(pool, slices, { ready: before, starting: [] }).ready;

    assert.equal(after[0], before[0]);
    assert.notEqual(after[1], before[1]);
  });

  it('takes a slice without endpoints or ports for none', () => {
    const empty = {
      addressType: 'IPv4',
      metadata: {},
      endpoints: null,
    } as unknown as EndpointSlice;

    assert.deepEqual(poolEndpoints(pool, [empty], none).ready, []);
    assert.deepEqual(poolsOf(empty), []);
  });
});
