import assert from 'node:assert/strict';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { systemClock } from '../../../../common/clock.ts';
import { silentLogger } from '../../../../common/log.ts';
import {
  DemandCollector,
  gatewayUrls,
  stateSignature,
} from '../../../../operator/controller/demand.ts';
import type { DemandReport } from '../../../../operator/demand.ts';
import { at, made, modelState, serverState } from '../../../support/facts.ts';
import { never } from '../../../support/kube-kit.ts';

/** Gateways on loopback, and a collector that asks them. */
class Gateways implements Disposable {
  readonly urls: string[] = [];
  readonly known = new Set(['rl/tiny', 'rl/other']);
  readonly collector = new DemandCollector({
    clock: systemClock,
    log: silentLogger,
    timeoutMs: 5000,
    urls: () => this.urls,
    isKnown: (model) => this.known.has(model),
  });
  readonly #servers: Server[] = [];

  async add(listener: RequestListener): Promise<void> {
    const server = createServer(listener);
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.urls.push(`http://127.0.0.1:${(server.address() as AddressInfo).port}/demand`);
  }

  addReport(report: Partial<DemandReport>): Promise<void> {
    return this.add((_req, res) =>
      res.end(JSON.stringify({ gateway: 'g', models: [], pods: [], traffic: [], ...report })),
    );
  }

  [Symbol.dispose](): void {
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
    }
  }
}

const tiny = (inFlight: number, held: number, lastActivity: string | null = null) => ({
  model: 'rl/tiny',
  inFlight,
  held,
  lastActivity,
});
const pod = (residency: 'Loaded' | 'Loading') => ({
  pod: 'pod-1',
  pool: 'rl/p',
  state: serverState(modelState({ residency })),
});

describe('DemandCollector', () => {
  it('adds up what all gateways are asked for, and takes the latest activity', async () => {
    using gateways = new Gateways();
    await gateways.addReport({ models: [tiny(1, 2, at(5))] });
    await gateways.addReport({ models: [tiny(3, 0, at(9))] });

    const view = await gateways.collector.collect(never);

    assert.deepEqual(view.models.get('rl/tiny'), { asked: 6, lastActivity: made + 9000 });
    assert.equal(view.isComplete, true);
  });

  it('is incomplete when a gateway does not answer, and says what the others know', async () => {
    using gateways = new Gateways();
    await gateways.addReport({ models: [tiny(1, 0)] });
    await gateways.add((_req, res) => res.writeHead(503).end());
    await gateways.add((_req, res) => res.end('no report'));
    await gateways.add((_req, res) => res.destroy());

    const view = await gateways.collector.collect(never);

    assert.equal(view.isComplete, false);
    assert.equal(view.models.get('rl/tiny')?.asked, 1);
    assert.deepEqual(view.gateways, { known: 4, answered: 1 });
  });

  it('is incomplete when there is no gateway: that is unknown, not idle', async () => {
    using gateways = new Gateways();

    assert.equal((await gateways.collector.collect(never)).isComplete, false);
  });

  it('remembers activity that a gateway forgot when it restarted', async () => {
    using gateways = new Gateways();
    const reports = [tiny(0, 0, at(9)), tiny(0, 0, null)];
    await gateways.add((_req, res) =>
      res.end(JSON.stringify({ gateway: 'g', models: [reports.shift()], pods: [], traffic: [] })),
    );

    await gateways.collector.collect(never);
    const view = await gateways.collector.collect(never);

    assert.equal(view.models.get('rl/tiny')?.lastActivity, made + 9000);
  });

  it('forgets a model that is gone', async () => {
    using gateways = new Gateways();
    await gateways.addReport({ models: [tiny(1, 0, at(9))] });
    await gateways.collector.collect(never);

    gateways.known.delete('rl/tiny');
    const gone = await gateways.collector.collect(never);
    gateways.known.add('rl/tiny');
    gateways.urls.pop();
    const made = await gateways.collector.collect(never);

    assert.equal(gone.models.size, 0);
    assert.equal(made.models.size, 0);
  });

  it('believes the same gateway each time about a pod that several report', async () => {
    using gateways = new Gateways();
    await gateways.addReport({ gateway: 'b', pods: [pod('Loading')] });
    await gateways.addReport({ gateway: 'a', pods: [pod('Loaded')] });

    const { states } = await gateways.collector.collect(never);

    assert.equal(states.get('rl/p')?.get('pod-1')?.models[0]?.residency, 'Loaded');
  });

  it('rejects when its caller gives up', async () => {
    using gateways = new Gateways();
    const caller = new AbortController();
    await gateways.add(() => caller.abort(new Error('enough')));

    await assert.rejects(gateways.collector.collect(caller.signal), { message: 'enough' });
  });
});

describe('gatewayUrls', () => {
  it('names every address once, ready or not, at the port of the slice', () => {
    const endpoints = [
      { addresses: ['10.0.0.2'], conditions: { ready: false } },
      { addresses: ['10.0.0.1'] },
    ];
    const slice = { addressType: 'IPv4', endpoints, ports: [{ port: 9000 }] };
    const six = { addressType: 'IPv6', endpoints: [{ addresses: ['fd00::1'] }] };

    assert.deepEqual(gatewayUrls([slice, six, slice]), [
      'http://10.0.0.1:9000/demand',
      'http://10.0.0.2:9000/demand',
      'http://[fd00::1]:8081/demand',
    ]);
  });
});

describe('stateSignature', () => {
  const of = (...models: Parameters<typeof modelState>[0][]) =>
    stateSignature(new Map([['pod-1', serverState(...models.map((m) => modelState(m)))]]));

  it('does not change with the counts of requests', () => {
    assert.equal(of({ inFlight: 1 }), of({ inFlight: 9, lastUsed: at(50) }));
  });

  it('changes with what a pod holds, and with the pods', () => {
    assert.notEqual(of({}), of({ residency: 'Loading' }));
    assert.notEqual(of({}), of({}, { name: 'rl/other' }));
    assert.notEqual(of(), stateSignature(undefined));
  });
});
