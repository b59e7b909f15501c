// Events of a model: one constructor per event, and when each is due. A person reads them in `kubectl describe rfm`.
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../common/clock.ts';
import type { Logger } from '../../common/log.ts';
import type { Condition } from '../../crds/common.ts';
import {
  apiVersion,
  type ConditionType,
  type ReferenceModel,
  type ReferenceModelStatus,
} from '../../crds/reference-model.ts';
import type { KubeClient } from '../kube/client.ts';
import { microTime } from '../kube/leader.ts';
import { type Event, resources } from '../kube/resources.ts';
import type { ControllerMetrics } from './metrics.ts';

export interface EventNote {
  type: 'Normal' | 'Warning';
  reason: string;
  /** What the operator did or saw done, one word. */
  action: string;
  note: string;
}

const refused = ({ reason, message }: Condition): EventNote => ({
  type: 'Warning',
  reason,
  action: 'Validating',
  note: message,
});

const scaledToZero = ({ message }: Condition): EventNote => ({
  type: 'Normal',
  reason: 'ScaledToZero',
  action: 'Scaling',
  note: message,
});

const waking = (): EventNote => ({
  type: 'Normal',
  reason: 'Waking',
  action: 'Scaling',
  note: 'a pod is starting',
});

const nowLoaded = ({ message }: Condition, total: string | undefined): EventNote => ({
  type: 'Normal',
  reason: 'Loaded',
  action: 'Loading',
  note: total === undefined ? message : `${message}, ${total} s after it was asked for`,
});

const evicted = ({ message }: Condition): EventNote => ({
  type: 'Normal',
  reason: 'Evicted',
  action: 'Evicting',
  note: message,
});

const failed = ({ reason, message }: Condition): EventNote => ({
  type: 'Warning',
  reason,
  action: 'Starting',
  note: message,
});

/** The events between two statuses: what is in both happened before. */
export function eventsBetween(
  before: ReferenceModelStatus | undefined,
  after: ReferenceModelStatus,
): EventNote[] {
  const find = (status: ReferenceModelStatus | undefined, type: ConditionType) =>
    status?.conditions?.find((condition) => condition.type === type);
  const changed = (type: ConditionType): Condition | undefined => {
    const [was, is] = [find(before, type), find(after, type)];
    return is && (was?.status !== is.status || was.reason !== is.reason) ? is : undefined;
  };
  const [accepted, loaded, degraded] = [
    changed('Accepted'),
    changed('Loaded'),
    changed('Degraded'),
  ];
  const notes: EventNote[] = [];
  if (accepted?.status === 'False') notes.push(refused(accepted));
  if (degraded?.status === 'True') notes.push(failed(degraded));
  const note = loaded && aboutLoaded(find(before, 'Loaded'), loaded, after);
  return note ? [...notes, note] : notes;
}

function aboutLoaded(
  was: Condition | undefined,
  is: Condition,
  after: ReferenceModelStatus,
): EventNote | undefined {
  if (is.reason === 'Resident') return nowLoaded(is, after.coldStart?.total);
  if (is.reason === 'Evicted') return evicted(is);
  const hasSlept = was === undefined || slept.includes(was.reason);
  if (is.reason === 'ScaledToZero' && !hasSlept) return scaledToZero(is);
  return is.reason === 'Starting' && hasSlept ? waking() : undefined;
}

const slept = ['ScaledToZero', 'NotRequested', 'Queued'];

export interface RecorderOptions {
  client: KubeClient;
  clock: Clock;
  log: Logger;
  metrics: ControllerMetrics;
  /** Name of this process. */
  instance: string;
}

/** Writes events. A lost event is a pity and no reason to try again. */
export class Recorder {
  readonly #options: RecorderOptions;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  async record(
    model: ReferenceModel,
    notes: readonly EventNote[],
    signal: AbortSignal,
  ): Promise<void> {
    const { client, log, metrics } = this.#options;
    for (const note of notes) {
      try {
        await client.create(resources.events, this.#event(model, note), signal);
        metrics.wrote('Event', 'create');
      } catch (err) {
        signal.throwIfAborted();
        log.warn({ err, reason: note.reason }, 'cannot write event');
      }
    }
  }

  #event({ metadata }: ReferenceModel, { note, ...rest }: EventNote): Event {
    const { name, namespace, uid } = metadata;
    return {
      metadata: { name: `${name}.${randomBytes(8).toString('hex')}`, namespace },
      eventTime: microTime(this.#options.clock.now()),
      reportingController: 'refmodel.dev/operator',
      reportingInstance: this.#options.instance,
      regarding: { apiVersion, kind: 'ReferenceModel', name, namespace, uid },
      note: note.slice(0, 1024),
      ...rest,
    };
  }
}
