// What a gateway knows, as small as a test of the console needs it.
import type { ConsoleSnapshot } from '../../operator/gateway/console/facts.ts';
import type { ModelState, ServerState } from '../../server/contract.ts';
import { referenceModel } from './builders.ts';
import { model, resident, state } from './gateway-kit.ts';

export interface Given extends Partial<Omit<ConsoleSnapshot, 'report' | 'models'>> {
  models?: ReturnType<typeof model>[];
  /** What pod-a holds. */
  held?: ModelState[];
  pod?: Partial<ServerState>;
  demand?: ConsoleSnapshot['report']['models'];
}

export const pool = 'rl/rfm-pool-cpu';

export function snapshot({
  models = [model()],
  held,
  pod,
  demand = [],
  ...rest
}: Given = {}): ConsoleSnapshot {
  const pods = held ? [{ pod: 'pod-a', pool, state: state({ models: held, ...pod }) }] : [];
  return {
    report: {
      gateway: 'gateway-0',
      models: demand,
      pods,
      traffic: held ? [{ pod: 'pod-a', pool, inFlight: 2 }] : [],
    },
    models: new Map(models.map((each) => [each.key, each])),
    objects: [referenceModel()],
    leases: [],
    waiting: () => [],
    trouble: () => undefined,
    ...rest,
  };
}

/** rl/tiny, loaded. */
export const loaded = (overrides: Partial<ModelState> = {}): ModelState => ({
  ...resident('rl/tiny'),
  ...overrides,
});

export const condition = (type: string, status: 'True' | 'False', reason: string) => ({
  type,
  status,
  reason,
  message: `about ${reason}`,
  lastTransitionTime: '2026-01-01T00:00:00Z',
});
