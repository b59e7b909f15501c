// What helm and a real API server say to the chart, with many values, and to the examples.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { chartMatrix } from '../support/chart-matrix.ts';
import {
  type ControlPlane,
  noControlPlane,
  programPath,
  startControlPlane,
} from '../support/control-plane.ts';

const run = promisify(execFile);
const namespace = 'refmodel-chart';

const helm = async (args: string[]): Promise<string> =>
  (await run(programPath('helm'), args, { maxBuffer: 16 << 20 })).stdout;

function rendered(values: readonly string[]): Promise<string> {
  const sets = values.flatMap((value) => ['--set', value]);
  return helm(['template', 'refmodel', 'charts/refmodel', '--namespace', namespace, ...sets]);
}

const hasGo = spawnSync('go', ['version']).status === 0;

const refused: { values: string; says: RegExp }[] = [
  { values: 'gateway.replica=1', says: /replica/ },
  { values: 'gateway.replicas=0', says: /replicas/ },
  { values: 'monitoring.monitors.interval=often', says: /interval/ },
  { values: 'tracing.ratio=2', says: /ratio/ },
  { values: 'logLevel=loud', says: /logLevel/ },
  { values: 'huggingFace.endpoint=hub.example', says: /endpoint/ },
  { values: 'gpuClasses.cpu.spec.memory=lots', says: /memory/ },
  { values: 'gpuClasses.cpu.spec.memry=4Gi', says: /memry/ },
];

describe('the chart', { skip: noControlPlane }, () => {
  let plane: ControlPlane;
  before(async () => {
    plane = await startControlPlane();
    await plane.kubectl(['create', 'namespace', namespace]).catch(() => {});
    if (!hasGo) return;
    const { stdout: crds } = await run('test/cluster/monitoring-crds.sh', { maxBuffer: 16 << 20 });
    await plane.kubectl(['apply', '--server-side', '-f', '-'], crds);
    await plane.kubectl(['wait', '--for=condition=Established', 'crd', '--all']);
  });
  after(() => plane[Symbol.asyncDispose]());

  it('passes helm lint', async () => {
    assert.match(await helm(['lint', '--strict', 'charts/refmodel']), /0 chart\(s\) failed/);
  });

  for (const { name, values } of chartMatrix) {
    const isWatched = values.includes('monitoring.monitors.enabled=true');
    it(`is taken by the API server ${name}`, {
      skip: isWatched && !hasGo && 'no go: the definitions come from its modules',
    }, async () => {
      const manifest = await rendered(values);

      const answer = await plane.kubectl(['apply', '--dry-run=server', '-f', '-'], manifest);
      const given = manifest.match(/^kind: /gm)?.length;
      const taken = answer.match(/\(server dry run\)$/gm)?.length;
      assert.equal(taken, given);
    });
  }

  for (const { values, says } of refused) {
    it(`is refused by helm with ${values}`, async () => {
      await assert.rejects(rendered([values]), (err: { stderr: string }) => says.test(err.stderr));
    });
  }

  it('keeps its own labels, which Services select by', async () => {
    const manifest = await rendered(['labels.app\\.kubernetes\\.io/name=other']);

    assert.doesNotMatch(manifest, /name: other/);
  });

  it('makes nothing of what a cluster may not have unless it is told to', async () => {
    assert.doesNotMatch(await rendered([]), /monitoring\.coreos\.com|grafana/);
  });

  it('has examples that the API server takes as they are', async () => {
    const answer = await plane.kubectl(['apply', '--dry-run=server', '-f', 'examples']);

    assert.match(answer, /referencemodel\.refmodel\.dev\/tulu-70b created/);
  });
});
