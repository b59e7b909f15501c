// Models on a real cluster, and requests to them from this process: what the end-to-end tests of failures and of
// lifecycles share. Needs what story.test.ts needs, and to reach Services from here.
import assert from 'node:assert/strict';
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { get, getOne, type KubeObject, kubectl, namespace, referenceModel } from './cluster.ts';
import { eventually } from './eventually.ts';
import { Load, type LoadResult } from './load.ts';

export const system = 'refmodel-system';
export const gatewayHost = `refmodel-gateway.${system}.svc`;
const isReachable = await lookup(gatewayHost).then(
  () => true,
  () => false,
);
export const skip = isReachable ? false : `${gatewayHost} has no address here`;

interface Golden {
  rows: { input_ids: number[] }[];
}
const golden = JSON.parse(
  readFileSync('examples/models/tiny-python-llama/golden.json', 'utf8'),
) as Golden;
const input_ids = [golden.rows[0]?.input_ids ?? [1]];

export const manifest = (name: string, spec: object = {}) =>
  referenceModel(name, { scaling: { idleTimeout: '10m' }, ...spec });
export const classManifest = (name: string, spec: object = {}) => ({
  apiVersion: 'refmodel.dev/v1alpha1',
  kind: 'GPUClass',
  metadata: { name },
  spec: {
    executionProvider: 'CPU',
    memory: '1Gi',
    resources: { requests: { cpu: '50m', memory: '200Mi' } },
    ...spec,
  },
});

const url = `http://${gatewayHost}/v1/logprobs`;
export const load = (name: string, callers = 8) =>
  new Load({ url, body: { model: `${namespace}/${name}`, input_ids }, callers, pauseMs: 20 });

export async function ask(name: string): Promise<number> {
  const body = JSON.stringify({ model: `${namespace}/${name}`, input_ids });
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(url, { method: 'POST', headers, body });
  await answer.arrayBuffer();
  return answer.status;
}

const conditionOf = ({ status }: KubeObject, type: string) =>
  ((status?.['conditions'] ?? []) as { type: string; status: string; reason: string }[]).find(
    (condition) => condition.type === type,
  );
export const reason = (name: string, type: string, wanted: string, timeoutMs = 60_000) =>
  eventually(async () => {
    const found = conditionOf(await getOne('rfm', namespace, name), type);
    assert.equal(found?.reason, wanted, `${type} of ${name} is ${JSON.stringify(found)}`);
  }, timeoutMs);
export const poolPods = async (pool: string) =>
  (await get('pods', namespace, `refmodel.dev/pool=${pool}`)).filter(
    ({ metadata }) => metadata.deletionTimestamp === undefined,
  );
export const restart = async (deployment: string, where = system) => {
  await kubectl(['rollout', 'restart', '-n', where, `deployment/${deployment}`]);
  await kubectl(['rollout', 'status', '-n', where, `deployment/${deployment}`, '--timeout=170s']);
};
/** Until the pods that are too many are gone. */
export async function scaleOperator(replicas: number): Promise<void> {
  await kubectl(['scale', '-n', system, 'deployment/refmodel-operator', `--replicas=${replicas}`]);
  await eventually(async () => {
    const pods = await get('pods', system, 'app.kubernetes.io/component=operator');
    assert.ok(pods.length <= replicas, `${pods.length} operators`);
  }, 60_000);
}
export const settled = () =>
  Promise.all(
    ['gateway', 'operator'].map((part) =>
      kubectl(['rollout', 'status', '-n', system, `deployment/refmodel-${part}`, '--timeout=170s']),
    ),
  );

export const figures: string[] = [];
export function report(what: string, result: LoadResult): void {
  const { answered, lost, lostForGood, slowestMs } = result;
  const unsent = lost.filter(({ isUnsent }) => isUnsent).length;
  const share = ((100 * lost.length) / Math.max(1, answered + lost.length)).toFixed(3);
  figures.push(
    `${what}: ${answered} answered, ${lost.length} tries lost (${share} %), ${unsent} of them not sent, ${lostForGood} requests given up by OpenAI's client; ${slowestMs} ms at most`,
  );
}
