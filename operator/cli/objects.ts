// What the objects of a cluster alone say, in the shape of the console: for those whom no gateway answers. Pure.
import type { GPUClass } from '../../crds/gpu-class.ts';
import type { ReferenceModel } from '../../crds/reference-model.ts';
import type { ModelState } from '../../server/contract.ts';
import type { PodState } from '../demand.ts';
import { conditionOf, gatewayModel } from '../gateway/backend/view.ts';
import type { ConsoleState } from '../gateway/console/contract.ts';
import { consoleState } from '../gateway/console/state.ts';
import { modelKey } from '../pool.ts';

/** Who waits, and what memory is taken, no object says. */
export function stateOfObjects(
  objects: readonly ReferenceModel[],
  classes: readonly GPUClass[],
): ConsoleState {
  const models = objects.map((object) => gatewayModel(object, classes));
  return consoleState({
    report: { gateway: '', models: [], pods: objects.flatMap(holders), traffic: [] },
    models: new Map(models.map((model) => [model.key, model])),
    objects,
    leases: [],
    waiting: () => [],
    trouble: () => undefined,
  });
}

function holders(object: ReferenceModel): PodState[] {
  const { loadedOn = [], lastRequestTime = '' } = object.status ?? {};
  const name = modelKey(object);
  const state = (residency: ModelState['residency']): PodState['state'] => ({
    models: [{ name, residency, inFlight: 0, lastUsed: lastRequestTime }],
    maxModels: 1,
    isDraining: false,
  });
  const holding = loadedOn.map((pod) => ({ pod, pool: '', state: state('Loaded') }));
  const phase = conditionOf(object, 'Loaded')?.reason;
  const isLoading = phase === 'Downloading' || phase === 'Converting' || phase === 'Loading';
  return isLoading ? [...holding, { pod: 'a pod', pool: '', state: state(phase) }] : holding;
}
