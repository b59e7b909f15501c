// The values of the chart: values.yaml, their schema, and the templates that use them.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { isMap, parseDocument, type YAMLMap } from 'yaml';
import { z } from 'zod';
import { chartValues, valuesSchema } from '../../scripts/chart-values.ts';
import { chartMatrix, keyOf, sets } from '../support/chart-matrix.ts';

const text = readFileSync('charts/refmodel/values.yaml', 'utf8');
const document = parseDocument(text);
const folder = 'charts/refmodel/templates';
const templates = readdirSync(folder)
  .map((name) => readFileSync(`${folder}/${name}`, 'utf8'))
  .join('\n');

/** Dotted paths of the schema: of every value, and of the groups that they stand in. */
function paths(schema: z.ZodType, at = ''): { path: string; isGroup: boolean }[] {
  if (!(schema instanceof z.ZodObject)) return [];
  return Object.entries<z.ZodType>(schema.shape).flatMap(([name, field]) => {
    const path = at ? `${at}.${name}` : name;
    const isGroup = field instanceof z.ZodObject && name !== 'resources';
    return [{ path, isGroup }, ...(isGroup ? paths(field, path) : [])];
  });
}

/** Whether the line above a key is a comment. */
function isCommented(map: YAMLMap, name: string): boolean {
  const key = map.items.findIndex((pair) => String(pair.key) === name);
  const start = (map.items[key]?.key as { range?: [number] } | undefined)?.range?.[0] ?? 0;
  const above = text.slice(0, start).trimEnd().split('\n').at(-1) ?? '';
  return above.trimStart().startsWith('#');
}

function mapOf(path: string): YAMLMap {
  const parent = path.split('.').slice(0, -1);
  const map = parent.length === 0 ? document.contents : document.getIn(parent);
  assert.ok(isMap(map), `values.yaml has no ${parent.join('.')}`);
  return map;
}

const known = paths(chartValues);

describe('the values of the chart', () => {
  it('keep to their schema, which knows each of them', () => {
    chartValues.parse(document.toJS());
  });

  for (const { path, isGroup } of known) {
    it(`${path} has a default, and a comment above it`, () => {
      assert.ok(document.hasIn(path.split('.')));
      assert.ok(isCommented(mapOf(path), path.split('.').at(-1) ?? ''), 'no comment');
    });

    if (isGroup) continue;
    it(`${path} is set in a row of the matrix that a real API server judges`, () => {
      const keys = chartMatrix.flatMap(({ values }) => values.map(keyOf));
      assert.ok(
        keys.some((key) => sets(key, path)),
        'no row sets it',
      );
    });

    it(`${path} is used by a template`, () => {
      assert.match(templates, new RegExp(`\\.Values\\.${path.replaceAll('.', '\\.')}(?![.\\w])`));
    });
  }

  it('are all that templates use', () => {
    const used = [...templates.matchAll(/\.Values\.([\w.]+)/g)].map(([, path = '']) => path);
    const names = new Set(known.map(({ path }) => path));

    assert.deepEqual(
      used.filter((path) => !names.has(path)),
      [],
    );
  });

  it('name no field of a class that the class has not', () => {
    const values = document.toJS() as { gpuClasses: { cpu: { spec: object } } };
    Object.assign(values.gpuClasses.cpu.spec, { memry: '4Gi' });
    const schema = z.fromJSONSchema(valuesSchema());

    assert.equal(schema.safeParse(values).success, false);
    Reflect.deleteProperty(values.gpuClasses.cpu.spec, 'memry');
    assert.equal(schema.safeParse(values).success, true);
  });
});
