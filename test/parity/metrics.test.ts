// The metrics of all processes: what they are called, and that what names them elsewhere names what there is.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { alerts, rulesFile } from '../../scripts/alerts.ts';
import { describedIn, registries } from '../../scripts/metrics.ts';

/** Labels whose values are bounded by objects, or by code. None is picked by a client. */
const labels = new Set(
  'model pool memory route code error reason result phase how quantization estimator queue kind verb method state condition'.split(
    ' ',
  ),
);

for (const [process, registry] of Object.entries(registries())) {
  describe(`the metrics of ${process}`, () => {
    for (const metric of describedIn(registry)) {
      it(`${metric.name} keeps to the conventions`, () => {
        assert.match(metric.name, new RegExp(`^refmodel_${process}_[a-z][a-z0-9_]*$`));
        assert.equal(metric.type === 'counter', metric.name.endsWith('_total'));
        assert.doesNotMatch(metric.name, /_(ms|millis|minutes|kib|mib|percent)(_|$)/);
        assert.match(metric.help, /^\S.*\.$/);
        assert.deepEqual(
          metric.labels.filter((label) => !labels.has(label)),
          [],
        );
      });
    }
  });
}

/** Names of metrics in a text; those of histograms without what Prometheus adds to them. */
function namedIn(text: string): string[] {
  const names = [...text.matchAll(/\brefmodel_(?:gateway|operator|server)_[a-z0-9_]+/g)];
  return [...new Set(names.map(([name]) => name))];
}

const known = new Set(
  Object.values(registries()).flatMap((registry) =>
    describedIn(registry).flatMap(({ name, type }) =>
      type === 'histogram' ? ['', '_bucket', '_sum', '_count'].map((end) => name + end) : [name],
    ),
  ),
);

const namers = readdirSync('docs', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .map((name) => `docs/${name}`)
  .concat(rulesFile, 'charts/refmodel/files/dashboard.json', 'README.md');

describe('metrics that are named', () => {
  for (const file of namers) {
    it(`in ${file} exist`, () => {
      const missing = namedIn(readFileSync(file, 'utf8')).filter((name) => !known.has(name));
      assert.deepEqual(missing, []);
    });
  }
});

describe('the alerts', () => {
  const pages = readdirSync('docs/runbooks').map((name) => name.replace(/\.md$/, ''));

  it('have a runbook each, and no runbook is without an alert', () => {
    assert.deepEqual(alerts.map(({ alert }) => alert).sort(), pages.sort());
  });

  for (const { alert, annotations } of alerts) {
    it(`${alert} leads to its runbook, which says what to do`, () => {
      assert.ok(annotations.runbook_url.endsWith(`/docs/runbooks/${alert}.md`));
      const page = readFileSync(`docs/runbooks/${alert}.md`, 'utf8');
      assert.deepEqual(page.match(/^#+ .*$/gm), [
        `# ${alert}`,
        '## Impact',
        '## Diagnosis',
        '## Remedy',
      ]);
    });
  }
});
