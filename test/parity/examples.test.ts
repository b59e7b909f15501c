// The manifests of examples/, against the kinds they are of and the classes that the chart brings.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { quantityValue } from '../../crds/common.ts';
import { type ReferenceModel, referenceModel } from '../../crds/reference-model.ts';
import { refusal } from '../../operator/verdict.ts';
import { askedBytes, shapes } from '../../scripts/capacity.ts';
import { chartValues } from '../../scripts/chart-values.ts';

const { gpuClasses } = chartValues.parse(
  parse(readFileSync('charts/refmodel/values.yaml', 'utf8')),
);

interface Document {
  apiVersion: string;
  kind: string;
  metadata: { name: string };
}

const documents = readdirSync('examples')
  .filter((name) => name.endsWith('.yaml'))
  .flatMap((file) =>
    parseAllDocuments(readFileSync(`examples/${file}`, 'utf8')).map((document) => {
      assert.deepEqual(document.errors, [], file);
      return { file, document: document.toJS() as Document };
    }),
  );

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

/** Paths of what was given and is not in what was read. */
function lost(given: unknown, read: unknown, at = ''): string[] {
  if (!isObject(given)) return given === read ? [] : [at];
  return Object.entries(given).flatMap(([name, value]) =>
    lost(value, isObject(read) ? read[name] : undefined, `${at}.${name}`),
  );
}

const models = documents.filter(({ document }) => document.kind === 'ReferenceModel');

describe('every example', () => {
  it('has a name of its own, so that all can be applied together', () => {
    const names = documents.map(({ document }) => `${document.kind} ${document.metadata.name}`);
    assert.deepEqual([...new Set(names)], names);
  });

  for (const { file, document } of models) {
    it(`${document.metadata.name} of ${file} is a model that this version serves, on a class of the chart`, () => {
      const model = referenceModel.parse(document);

      assert.deepEqual(lost(document, model), []);
      assert.equal(refusal(model), undefined);
      assert.ok(!model.spec.gpuClass || model.spec.gpuClass in gpuClasses);
    });
  }

  it('of a claim is beside that claim, or its claim is one that `refmodel local` is given', () => {
    const claims = documents.flatMap(({ document: { kind, metadata } }) =>
      kind === 'PersistentVolumeClaim' ? [metadata.name] : [],
    );
    const asked = models.flatMap(
      ({ document }) =>
        referenceModel.parse(document).spec.model.persistentVolumeClaim?.claimName ?? [],
    );
    assert.deepEqual([...new Set(asked)], claims);
  });
});

describe('the examples of a known size', () => {
  /** By the end of the name of the repository. */
  const known = {
    '-8B-SFT': shapes['8 B'],
    '-70B-SFT': shapes['70 B'],
    '-Llama-3.1-8B': shapes['8 B'],
  };

  function largest({ spec }: ReferenceModel) {
    const repo = spec.model.huggingFace?.repo ?? '';
    const [, config] = Object.entries(known).find(([end]) => repo.endsWith(end)) ?? [];
    return config && askedBytes(config, spec.quantization, { provider: 'CUDA', type: 'bfloat16' });
  }

  it('fit the memory of the class that they name', () => {
    const sized = models.flatMap(({ document }) => {
      const model = referenceModel.parse(document);
      const bytes = largest(model);
      return bytes ? [{ model, bytes: bytes.device }] : [];
    });

    assert.equal(sized.length, Object.keys(known).length);
    for (const { model, bytes } of sized) {
      const memory = gpuClasses[model.spec.gpuClass ?? '']?.spec.memory ?? '0';
      assert.ok(bytes <= quantityValue(memory), `${model.metadata.name}: ${bytes} of ${memory}`);
    }
  });
});
