// The GPUClasses that the chart brings, against what the operator takes.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { quantityValue } from '../../crds/common.ts';
import { classManifest, gpuClass } from '../support/builders.ts';

interface Values {
  gpuClasses: Record<string, { default?: boolean; spec: object }>;
}

const values = parse(readFileSync('charts/refmodel/values.yaml', 'utf8')) as Values;
const classes = Object.entries(values.gpuClasses);

describe('the GPUClasses of the chart', () => {
  it('have one default', () => {
    assert.equal(classes.filter(([, value]) => value.default).length, 1);
  });

  for (const [name, { spec }] of classes) {
    it(`${name} is a class`, () => {
      const parsed = gpuClass({ metadata: { name }, spec });

      assert.deepEqual(
        Object.keys(spec).filter((field) => !(field in parsed.spec)),
        [],
      );
      assert.equal(classManifest({ spec }).spec.memory, parsed.spec.memory);
    });
  }

  for (const [name, { spec }] of classes) {
    const parsed = gpuClass({ metadata: { name }, spec }).spec;
    if (parsed.executionProvider !== 'CUDA') continue;
    it(`${name} asks for one GPU, on nodes that have that card and keep others off`, () => {
      const { resources, tolerations = [], nodeSelector, affinity } = parsed;

      assert.equal(resources.limits?.['nvidia.com/gpu'], '1');
      assert.equal(tolerations[0]?.key, 'nvidia.com/gpu');
      assert.match(JSON.stringify(nodeSelector ?? affinity), /nvidia\.com\/gpu\.product/);
    });

    it(`${name} leaves the driver a part of the card that it is named after`, () => {
      const card = Number(/-(\d+)gb$/.exec(name)?.[1]) * 2 ** 30;

      const part = quantityValue(parsed.memory) / card;

      assert.ok(part > 0.85 && part <= 0.975, `${part} of the card`);
    });
  }
});
