// What a gateway knows → what the console shows. Pure: the same snapshot gives the same state, without the time of day,
// so that a reader who has it already is told so.
import type { ReferenceModel } from '../../../crds/reference-model.ts';
import type { ModelState } from '../../../server/contract.ts';
import type { DemandReport, PodState } from '../../demand.ts';
import { type ModelKey, modelKey, splitKey } from '../../pool.ts';
import type { ConsoleModel, ConsolePod, ConsoleState } from './contract.ts';
import {
  type ConsoleSnapshot,
  coldStartOf,
  type Holding,
  type ModelSources,
  sourceOf,
} from './facts.ts';
import { standingOf } from './standing.ts';

export function consoleState(snapshot: ConsoleSnapshot): ConsoleState {
  const objects = new Map(snapshot.objects.map((object) => [modelKey(object), object]));
  const byModel = holdings(snapshot.report.pods);
  const demand = new Map(snapshot.report.models.map((each) => [each.model, each]));
  const models = [...snapshot.models.values()].map((model) =>
    consoleModel({
      model,
      object: objects.get(model.key),
      held: byModel.get(model.key) ?? [],
      demand: demand.get(model.key),
      snapshot,
    }),
  );
  return {
    gateway: snapshot.report.gateway,
    models: models.sort(byName),
    pods: consolePods(snapshot.report),
    runs: snapshot.leases
      .map(({ run, models: leased, expiresAt }) => ({
        run,
        models: [...leased],
        expiresAt: new Date(expiresAt).toISOString(),
      }))
      .sort((a, b) => (a.run < b.run ? -1 : 1)),
  };
}

function holdings(pods: readonly PodState[]): Map<ModelKey, Holding[]> {
  const byModel = new Map<ModelKey, Holding[]>();
  for (const { pod, state } of pods) {
    for (const each of state.models) {
      const list = byModel.get(each.name) ?? [];
      list.push({ pod, state: each });
      byModel.set(each.name, list);
    }
  }
  return byModel;
}

function consoleModel(sources: ModelSources): ConsoleModel {
  const { model, object, held, demand, snapshot } = sources;
  const resident = held.find(({ state }) => state.residency === 'Loaded')?.state;
  return {
    name: model.key,
    ...standingOf(sources),
    ...declared(object),
    pool: model.pool,
    ...asked(demand),
    waiting: snapshot.waiting(model.key),
    pods: held.filter(({ state }) => state.residency === 'Loaded').map(({ pod }) => pod),
    load: loadOf(held),
    coldStart: coldStartOf(object, resident),
    ...remembered(object),
    ...(resident && measured(resident)),
    lastRequest: latest(demand?.lastActivity, object?.status?.lastRequestTime),
    runs: snapshot.leases
      .filter(({ models }) => models.includes(model.key))
      .map(({ run }) => run)
      .sort(),
  };
}

const asked = (demand: ModelSources['demand']): Pick<ConsoleModel, 'held' | 'inFlight'> => ({
  held: demand?.held ?? 0,
  inFlight: demand?.inFlight ?? 0,
});

type Declared = Pick<
  ConsoleModel,
  'source' | 'quantization' | 'task' | 'gpuClass' | 'placement' | 'access' | 'idleTimeout' | 'maxKL'
>;

const unreadable: Declared = {
  source: '',
  quantization: '',
  placement: '',
  access: '',
  idleTimeout: '',
};

function declared(object: ReferenceModel | undefined): Declared {
  if (!object) return unreadable;
  const { spec, status } = object;
  return {
    source: sourceOf(object),
    quantization: spec.quantization,
    task: spec.task ?? status?.model?.task,
    gpuClass: spec.gpuClass ?? status?.gpuClass,
    placement: spec.placement,
    access: spec.access,
    idleTimeout: spec.scaling.idleTimeout,
    maxKL: numberOf(spec.fidelity?.maxKL),
  };
}

const loading = new Set(['Downloading', 'Converting', 'Loading']);

function loadOf(held: readonly Holding[]): ConsoleModel['load'] {
  const found = held.find(({ state }) => loading.has(state.residency));
  return found && { pod: found.pod, phase: found.state.residency, ...found.state.progress };
}

type Measured = Pick<
  ConsoleModel,
  'fidelity' | 'policy' | 'memory' | 'architecture' | 'parameters' | 'revision'
>;

/** By the pod that holds it. */
function measured({ identity, fidelity, policy, memory }: ModelState): Measured {
  const { architecture, parameters, revision } = identity ?? {};
  return { fidelity, policy, memory, architecture, parameters, revision };
}

/** By the operator, of the last pod that held it. */
function remembered(object: ReferenceModel | undefined): Measured {
  const { model, fidelity } = object?.status ?? {};
  const { architecture, parameters, revision } = model ?? {};
  return { fidelity: numbersOf(fidelity), architecture, parameters, revision };
}

type RememberedFidelity = NonNullable<NonNullable<ReferenceModel['status']>['fidelity']>;

/** A status holds no floats, so they are texts there. */
function numbersOf(fidelity: RememberedFidelity | undefined): ConsoleModel['fidelity'] {
  if (!fidelity) return undefined;
  const { kl, meanAbsDelta, tokens } = fidelity;
  return { kl: numberOf(kl), meanAbsDelta: numberOf(meanAbsDelta), tokens };
}

const numberOf = (text: string | undefined) => (text === undefined ? undefined : Number(text));

function consolePods({ pods, traffic }: DemandReport): ConsolePod[] {
  const states = new Map(pods.map((each) => [`${each.pool} ${each.pod}`, each.state]));
  const shown = traffic.map(({ pod, pool, inFlight }): ConsolePod => {
    const state = states.get(`${pool} ${pod}`);
    return {
      pod,
      pool,
      isDraining: state?.isDraining ?? false,
      isHeard: state !== undefined,
      inFlight,
      maxModels: state?.maxModels,
      limits: state?.limits,
      models: (state?.models ?? []).map(({ name, residency, memory }) => ({
        name,
        residency,
        memory,
      })),
    };
  });
  return shown.sort((a, b) => (`${a.pool} ${a.pod}` < `${b.pool} ${b.pod}` ? -1 : 1));
}

/** The later of two ISO times. */
function latest(a: string | null | undefined, b: string | undefined): string | undefined {
  if (!a || !b) return a ?? b;
  return Date.parse(a) > Date.parse(b) ? a : b;
}

const byName = (a: ConsoleModel, b: ConsoleModel): number => {
  const [x, y] = [splitKey(a.name), splitKey(b.name)];
  return x.namespace.localeCompare(y.namespace) || x.name.localeCompare(y.name);
};
