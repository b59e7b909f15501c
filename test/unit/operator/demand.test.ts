import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { demandReport } from '../../../operator/demand.ts';

const report = {
  gateway: 'gateway-0',
  models: [{ model: 'rl/tiny', inFlight: 1, held: 0, lastActivity: null }],
  pods: [],
  traffic: [{ pod: 'pod-1', pool: 'rl/rfm-pool-cpu', inFlight: 1 }],
};

describe('demandReport', () => {
  it('reads what a gateway writes', () => {
    assert.deepEqual(demandReport.parse(JSON.parse(JSON.stringify(report))), report);
  });

  it('takes a report without traffic for none: a gateway that says nothing of it may send anywhere', () => {
    const { traffic: _, ...older } = report;

    assert.equal(demandReport.safeParse(older).success, false);
  });

  it('takes nothing for a count that is missing or negative', () => {
    for (const inFlight of [undefined, -1, null]) {
      const models = [{ ...report.models[0], inFlight }];
      assert.equal(demandReport.safeParse({ ...report, models }).success, false);
    }
  });
});
