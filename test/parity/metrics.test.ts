// The metrics of all processes: what they are called, and that what names them elsewhere names what there is.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
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
