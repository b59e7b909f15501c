// Who owns spec.replicas of a Deployment: the scaler's field manager, so that an apply without the field leaves it
// alone. An apply that owned it alone and then left it out would reset it to one.
import type { Deployment } from '../kube/resources.ts';
import { type Applier, fieldManager, type Kind } from './apply.ts';

export const scalerFieldManager = 'refmodel-scaler';

/** True while the operator is the only owner: before the hand-over, also when that was cut short. */
function ownsAlone(live: Deployment): boolean {
  const managers = (live.metadata?.managedFields ?? []).filter(({ fieldsV1 }) =>
    hasReplicas(fieldsV1),
  );
  return managers.length > 0 && managers.every(({ manager }) => manager === fieldManager);
}

/** meta/v1 FieldsV1: nested objects, keys "f:<field>". */
function hasReplicas(fields: object | undefined): boolean {
  const spec: unknown = fields && 'f:spec' in fields ? fields['f:spec'] : undefined;
  return typeof spec === 'object' && spec !== null && 'f:replicas' in spec;
}

/** Makes the scaler an owner of the replicas as they are. Does nothing when the operator is not their only owner. */
export async function handOverReplicas(
  applier: Applier,
  kind: Kind<Deployment>,
  live: Deployment,
  signal: AbortSignal,
): Promise<Deployment> {
  if (!ownsAlone(live)) return live;
  const { name, namespace, uid } = live.metadata ?? {};
  const intent = { metadata: { name, namespace, uid }, spec: { replicas: live.spec?.replicas } };
  const options = { fieldManager: scalerFieldManager, force: false, signal };
  return applier.apply(kind, intent, options);
}
