// Which pods must be told that their catalog has changed: writing an annotation makes the kubelet look at the
// ConfigMap at once, not within its minute. Decides, does no I/O.
import { createHash } from 'node:crypto';
import { group } from '../../crds/reference-model.ts';
import type { ConfigMap, Pod } from '../kube/resources.ts';
import { isTerminating } from './plan/pods.ts';
import { catalogFile } from './resources/catalog.ts';

/** On a pod: the catalog that it was last told of. */
const catalogAnnotation = `${group}/catalog`;
/** What the clocks of two API servers may differ by. Milliseconds. */
const clockSkewMs = 10_000;

const hashOf = ({ data }: ConfigMap): string =>
  createHash('sha256')
    .update(data?.[catalogFile] ?? '')
    .digest('hex')
    .slice(0, 16);

/** Merge patch of a pod. */
export const telling = (catalog: ConfigMap): object => ({
  metadata: { annotations: { [catalogAnnotation]: hashOf(catalog) } },
});

/** True for a pod that may have begun with an older catalog and was not told of this one. */
export function isBehind(pod: Pod, catalog: ConfigMap): boolean {
  const { annotations, creationTimestamp = '' } = pod.metadata ?? {};
  if (isTerminating(pod) || annotations?.[catalogAnnotation] === hashOf(catalog)) return false;
  return !(Date.parse(creationTimestamp) > writtenAt(catalog) + clockSkewMs);
}

/** Epoch milliseconds; Infinity when the API server does not say (meta/v1 ManagedFieldsEntry). */
function writtenAt({ metadata }: ConfigMap): number {
  const entries = (metadata?.managedFields ?? []).filter(
    ({ fieldsV1 }) => fieldsV1 && 'f:data' in fieldsV1,
  );
  const times = entries.map(({ time }) => (time ? Date.parse(time) : Number.POSITIVE_INFINITY));
  return times.length > 0 ? Math.max(...times) : Number.POSITIVE_INFINITY;
}
