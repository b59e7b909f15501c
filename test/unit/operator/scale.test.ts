import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  decideReplicas,
  type ModelActivity,
  type PoolActivity,
  type ScaleDecision,
} from '../../../operator/scale.ts';

const now = 1_000_000;
const idleTimeoutMs = 60_000;
const recent = now - idleTimeoutMs + 1;
const longAgo = now - idleTimeoutMs;

const model = (overrides: Partial<ModelActivity> = {}): ModelActivity => ({
  minReplicas: 0,
  maxReplicas: 4,
  concurrency: 10,
  idleTimeoutMs,
  asked: 0,
  lastActivity: longAgo,
  isLeased: false,
  ...overrides,
});
const pool = (overrides: Partial<PoolActivity> = {}): PoolActivity => ({
  current: 1,
  models: [model()],
  isComplete: true,
  isLoading: false,
  readySince: 0,
  neededLately: Number.POSITIVE_INFINITY,
  ...overrides,
});

const table: { name: string; given: PoolActivity; want: ScaleDecision }[] = [
  { name: 'idle for its timeout → zero', given: pool(), want: { replicas: 0, reason: 'Idle' } },
  {
    name: 'never asked → zero',
    given: pool({ models: [model({ lastActivity: Number.NEGATIVE_INFINITY })] }),
    want: { replicas: 0, reason: 'Idle' },
  },
  {
    name: 'idle → minReplicas',
    given: pool({ current: 3, models: [model({ minReplicas: 2 })] }),
    want: { replicas: 2, reason: 'Idle' },
  },
  {
    name: 'asked a millisecond too recently → stays',
    given: pool({ models: [model({ lastActivity: recent })] }),
    want: { replicas: 1, reason: 'Recent' },
  },
  {
    name: 'one of two models asked recently → stays',
    given: pool({ models: [model(), model({ lastActivity: recent })] }),
    want: { replicas: 1, reason: 'Recent' },
  },
  {
    name: 'each model has its own timeout',
    given: pool({ models: [model(), model({ lastActivity: recent, idleTimeoutMs: 1 })] }),
    want: { replicas: 0, reason: 'Idle' },
  },
  {
    name: 'ready a moment ago → the idle clock starts there',
    given: pool({ readySince: recent }),
    want: { replicas: 1, reason: 'Recent' },
  },
  {
    name: 'not ready yet → stays',
    given: pool({ readySince: undefined }),
    want: { replicas: 1, reason: 'Starting' },
  },
  {
    name: 'loading → stays',
    given: pool({ isLoading: true }),
    want: { replicas: 1, reason: 'Loading' },
  },
  {
    name: 'a report missing → stays',
    given: pool({ isComplete: false }),
    want: { replicas: 1, reason: 'Unknown' },
  },
  {
    name: 'a report missing, but a request known → goes up',
    given: pool({ current: 0, isComplete: false, models: [model({ asked: 1 })] }),
    want: { replicas: 1, reason: 'Unknown' },
  },
  {
    name: 'a report missing → no pod is given up, however few were needed',
    given: pool({ current: 3, isComplete: false, neededLately: 1 }),
    want: { replicas: 3, reason: 'Unknown' },
  },
  {
    name: 'two models ask for a part of a pod each → one pod for both',
    given: pool({ models: [model({ asked: 5 }), model({ asked: 5 })] }),
    want: { replicas: 1, reason: 'Demand' },
  },
  {
    name: 'two models ask for a whole pod each → two',
    given: pool({ models: [model({ asked: 10 }), model({ asked: 10 })] }),
    want: { replicas: 2, reason: 'Demand' },
  },
  {
    name: 'leased and asleep → one',
    given: pool({ current: 0, models: [model({ isLeased: true })] }),
    want: { replicas: 1, reason: 'Leased' },
  },
  {
    name: 'leased and idle for ever → one stays',
    given: pool({ current: 3, neededLately: 1, models: [model({ isLeased: true }), model()] }),
    want: { replicas: 1, reason: 'Leased' },
  },
  {
    name: 'leased, lately busy → all that were needed stay',
    given: pool({ current: 3, neededLately: 2, models: [model({ isLeased: true })] }),
    want: { replicas: 2, reason: 'Leased' },
  },
  {
    name: 'fewer needed for the whole idleTimeout → the others go',
    given: pool({ current: 3, neededLately: 2, models: [model({ asked: 1 })] }),
    want: { replicas: 2, reason: 'Demand' },
  },
  {
    name: 'few needed, but one loads → all stay',
    given: pool({ current: 3, neededLately: 1, isLoading: true, models: [model({ asked: 1 })] }),
    want: { replicas: 3, reason: 'Demand' },
  },
  {
    name: 'few needed, but none is ready → all stay',
    given: pool({
      current: 3,
      neededLately: 1,
      readySince: undefined,
      models: [model({ asked: 1 })],
    }),
    want: { replicas: 3, reason: 'Demand' },
  },
  {
    name: 'none needed since, but not idle for long enough → one stays',
    given: pool({ current: 3, neededLately: 0, models: [model({ lastActivity: recent })] }),
    want: { replicas: 1, reason: 'Recent' },
  },
  {
    name: 'asleep and idle → stays asleep',
    given: pool({ current: 0 }),
    want: { replicas: 0, reason: 'Idle' },
  },
  {
    name: 'asleep, minReplicas raised → goes up',
    given: pool({ current: 0, models: [model({ minReplicas: 1 })] }),
    want: { replicas: 1, reason: 'Idle' },
  },
  {
    name: 'one request in flight → one',
    given: pool({ models: [model({ asked: 1 })] }),
    want: { replicas: 1, reason: 'Demand' },
  },
  {
    name: '11 requests at 10 a pod → two',
    given: pool({ models: [model({ asked: 11 })] }),
    want: { replicas: 2, reason: 'Demand' },
  },
  {
    name: 'demand falls → no step down before the idleTimeout',
    given: pool({ current: 3, models: [model({ asked: 1 })] }),
    want: { replicas: 3, reason: 'Demand' },
  },
  {
    name: 'demand beyond maxReplicas → maxReplicas',
    given: pool({ models: [model({ asked: 1000 })] }),
    want: { replicas: 4, reason: 'Demand' },
  },
  {
    name: 'a model pushes no further than its own maxReplicas',
    given: pool({ models: [model({ asked: 1000, maxReplicas: 2 }), model()] }),
    want: { replicas: 2, reason: 'Demand' },
  },
  {
    name: 'maxReplicas lowered below what runs → down',
    given: pool({ current: 9, models: [model({ lastActivity: recent })] }),
    want: { replicas: 4, reason: 'Recent' },
  },
  {
    name: 'the last model gone → zero',
    given: pool({ models: [] }),
    want: { replicas: 0, reason: 'Idle' },
  },
];

describe('decideReplicas', () => {
  for (const { name, given, want } of table) {
    it(name, () => assert.deepEqual(decideReplicas(given, now), want));
  }

  const anyModel = fc
    .record({
      minReplicas: fc.nat(3),
      more: fc.nat(3),
      concurrency: fc.integer({ min: 1, max: 30 }),
      idleTimeoutMs: fc.nat(100_000),
      asked: fc.nat(100),
      lastActivity: fc.integer({ min: 0, max: now }),
      isLeased: fc.boolean(),
    })
    .map(
      ({ more, ...rest }): ModelActivity => ({
        ...rest,
        maxReplicas: Math.max(1, rest.minReplicas + more),
      }),
    );
  const anyPool: fc.Arbitrary<PoolActivity> = fc.record({
    current: fc.nat(10),
    models: fc.array(anyModel, { minLength: 1, maxLength: 4 }),
    isComplete: fc.boolean(),
    isLoading: fc.boolean(),
    readySince: fc.option(fc.integer({ min: 0, max: now }), { nil: undefined }),
    neededLately: fc.nat(10),
  });
  const property = (
    name: string,
    holds: (given: PoolActivity, got: ScaleDecision) => boolean,
  ): void => {
    it(name, () => {
      fc.assert(
        fc.property(anyPool, (given) => holds(given, decideReplicas(given, now))),
        { numRuns: 2000 },
      );
    });
  };
  const most = (given: PoolActivity, pick: (model: ModelActivity) => number) =>
    Math.max(...given.models.map(pick));

  property('stays within the bounds of its models', (given, { replicas }) => {
    return (
      replicas >= most(given, (m) => m.minReplicas) && replicas <= most(given, (m) => m.maxReplicas)
    );
  });

  property('never takes the last pod while someone asks', (given, { replicas }) => {
    return most(given, (m) => m.asked) === 0 || replicas > 0;
  });

  property(
    'goes down for three reasons only: idleness, fewer needed for long, or a lower maxReplicas',
    (given, { replicas, reason }) => {
      const isLowered = replicas === most(given, (m) => m.maxReplicas);
      const isEnough = replicas >= Math.min(given.current, given.neededLately);
      return replicas >= given.current || reason === 'Idle' || isLowered || isEnough;
    },
  );

  property(
    'gives up nothing while a pod loads or a report is missing, but for a lower maxReplicas',
    (given, { replicas }) => {
      const isLowered = replicas === most(given, (m) => m.maxReplicas);
      const isUnsure = given.isLoading || !given.isComplete;
      return !isUnsure || replicas >= given.current || isLowered;
    },
  );

  property(
    'keeps a pod for a lease, whatever else is idle',
    (given, { replicas }) => !given.models.some((m) => m.isLeased) || replicas > 0,
  );

  property(
    'never calls a pool idle on an incomplete report, unless it sleeps',
    (given, { reason }) => {
      return given.isComplete || reason !== 'Idle';
    },
  );

  property('is settled: deciding again from the outcome changes nothing', (given, { replicas }) => {
    return decideReplicas({ ...given, current: replicas }, now).replicas === replicas;
  });

  property('never wants fewer pods for more requests', (given, { replicas }) => {
    const models = given.models.map((m) => ({ ...m, asked: m.asked + 10 }));
    return decideReplicas({ ...given, models }, now).replicas >= replicas;
  });
});
