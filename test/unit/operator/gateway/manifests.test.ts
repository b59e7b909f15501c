import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  type Manifests,
  parseManifests,
  readManifests,
} from '../../../../operator/gateway/manifests.ts';
import { modelKey } from '../../../../operator/pool.ts';

const parse = (text: string): Manifests => {
  const manifests: Manifests = { models: [], classes: [], notes: [] };
  parseManifests('models.yaml', text, manifests);
  return manifests;
};

const document = (name: string, spec = 'model: {persistentVolumeClaim: {claimName: m}}') =>
  `apiVersion: refmodel.dev/v1alpha1\nkind: ReferenceModel\nmetadata: {name: ${name}}\nspec: {${spec}}\n`;

describe('manifests', () => {
  it('reads many documents of both kinds, defaults filled in', () => {
    const text = [
      document('a'),
      'apiVersion: refmodel.dev/v1alpha1\nkind: GPUClass\nmetadata: {name: cpu}\nspec: {executionProvider: CPU, memory: 1Gi}\n',
      '',
      document('b'),
    ].join('---\n');

    const { models, classes, notes } = parse(text);

    assert.deepEqual(models.map(modelKey), ['default/a', 'default/b']);
    assert.equal(models[0]?.spec.quantization, 'Int8');
    assert.equal(classes[0]?.spec.maxModels, 2);
    assert.deepEqual(notes, []);
  });

  it('reads JSON', () => {
    const json = {
      apiVersion: 'refmodel.dev/v1alpha1',
      kind: 'ReferenceModel',
      metadata: { name: 'a' },
      spec: { model: { persistentVolumeClaim: { claimName: 'm' } } },
    };

    assert.equal(parse(JSON.stringify(json)).models.length, 1);
  });

  it('reads the List that kubectl prints', () => {
    const items = ['a', 'b'].map((name) => ({
      apiVersion: 'refmodel.dev/v1alpha1',
      kind: 'ReferenceModel',
      metadata: { name },
      spec: { model: { persistentVolumeClaim: { claimName: 'm' } } },
    }));

    const { models } = parse(JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));

    assert.deepEqual(
      models.map(({ metadata }) => metadata.name),
      ['a', 'b'],
    );
  });

  it('ignores other kinds with a note that says where', () => {
    const { models, notes } = parse(`${document('a')}---\napiVersion: v1\nkind: ConfigMap\n`);

    assert.equal(models.length, 1);
    assert.equal(notes.length, 1);
    assert.match(notes[0] ?? '', /models\.yaml, document 2.*ConfigMap/);
  });

  const invalid: { name: string; text: string; says: RegExp }[] = [
    {
      name: 'what is no YAML',
      text: `${document('a')}---\na: [1, 2\n`,
      says: /models\.yaml, document 2/,
    },
    {
      name: 'a wrong field',
      text: document('a', 'model: {persistentVolumeClaim: {claimName: m}}, quantization: Int3'),
      says: /document 1.*spec\.quantization/,
    },
    {
      name: 'two sources',
      text: document(
        'a',
        'model: {persistentVolumeClaim: {claimName: m}, huggingFace: {repo: a/b}}',
      ),
      says: /spec\.model/,
    },
    {
      name: 'a path out of the volume',
      text: document('a', 'model: {persistentVolumeClaim: {claimName: m, path: ../x}}'),
      says: /spec\.model\.persistentVolumeClaim\.path/,
    },
    { name: 'a name that is none', text: document('A_b'), says: /metadata\.name/ },
    { name: 'no kind', text: 'a: 1\n', says: /kind/ },
    {
      name: 'a kind of ours that does not exist',
      text: document('a').replace('ReferenceModel', 'RefModel'),
      says: /document 1.*kind.*RefModel/,
    },
    {
      name: 'a field that does not exist',
      text: document('a', 'model: {persistentVolumeClaim: {claimName: m}}, quantisation: None'),
      says: /document 1.*spec\.quantisation/,
    },
    {
      name: 'a field that does not exist, further inside',
      text: document('a', 'model: {persistentVolumeClaim: {claimName: m, folder: x}}'),
      says: /spec\.model\.persistentVolumeClaim\.folder/,
    },
    { name: 'a list instead of an object', text: '- a\n', says: /kind/ },
    { name: 'another version', text: document('a').replace('v1alpha1', 'v9'), says: /apiVersion/ },
    {
      name: 'a model twice',
      text: `${document('a')}---\n${document('a')}`,
      says: /document 2.*metadata\.name/,
    },
    {
      name: 'a bomb of aliases',
      text: `a: &a [x, x]\n${'bcdefghij'
        .split('')
        .map((k, i) => `${k}: &${k} [${Array(9).fill(`*${'abcdefghij'[i]}`).join(', ')}]\n`)
        .join('')}`,
      says: /document 1/,
    },
  ];
  for (const { name, text, says } of invalid) {
    it(`refuses ${name}, naming document and field`, () => {
      assert.throws(() => parse(text), { code: 'MANIFEST_INVALID', message: says });
    });
  }

  it('reads the YAML files right inside a folder, in order, and no others', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'manifests-'));
    await mkdir(join(folder, 'deeper'));
    await writeFile(join(folder, 'b.yaml'), document('b'));
    await writeFile(join(folder, 'a.yml'), document('a'));
    await writeFile(join(folder, 'notes.txt'), 'no manifest');
    await writeFile(join(folder, 'deeper', 'c.yaml'), document('c'));

    const { models } = await readManifests([folder]);

    assert.deepEqual(models.map(modelKey), ['default/a', 'default/b']);
    await rm(folder, { recursive: true });
  });

  it('refuses a path that does not exist', async () => {
    await assert.rejects(readManifests(['/does/not/exist.yaml']), { code: 'MANIFEST_INVALID' });
  });
});
