// What is measured of the cache of models: who finds one there, and what loads, conversions and evictions there are.
import type { Metrics } from '../../common/metrics.ts';
import type { CacheObserver } from '../model/cache/observer.ts';

export function loadMetrics(metrics: Metrics) {
  const lookups = metrics.counter(
    'cache_lookups_total',
    'Requests for a model in memory: Hit, it was there; Wait, it was being loaded; Miss, its load began.',
    ['result'],
  );
  const loads = metrics.histogram('load_seconds', 'Time of loads, by their error code, or OK.', {
    labelNames: ['code'],
  });
  const phases = metrics.histogram('load_phase_seconds', 'Time of the phases of loads.', {
    labelNames: ['phase'],
  });
  const bytes = metrics.counter(
    'load_bytes_total',
    'Bytes that the phases of loads have done: downloaded, read to convert or to check, loaded.',
    ['phase'],
  );
  const conversions = metrics.counter(
    'conversions_total',
    'Checkpoints converted, by quantization.',
    ['quantization'],
  );
  const evictions = metrics.counter('evictions_total', 'Models closed to make room.');
  const diskEvictions = metrics.counter(
    'disk_evictions_total',
    'Converted models and checkpoints that this pod removed from the cache folder to make room.',
  );
  const diskEvicted = metrics.counter(
    'disk_evicted_bytes_total',
    'Bytes of the cache folder that this pod removed to make room.',
  );
  const deaths = metrics.counter(
    'runner_deaths_total',
    'Runners that ended by themselves, by how.',
    ['how'],
  );
  const cache: CacheObserver = {
    onLookup: (result) => lookups.inc({ result }),
    onLoad: (seconds, code) => loads.observe({ code: code ?? 'OK' }, seconds),
    onPhase(phase, done) {
      phases.observe({ phase }, done.seconds);
      bytes.inc({ phase }, done.bytes);
    },
    onEvict: () => evictions.inc(),
    onDiskEvicted(evicted) {
      diskEvictions.inc();
      diskEvicted.inc(evicted);
    },
    onDeath: (how) => deaths.inc({ how }),
  };
  return {
    cache,
    onConverted: (quantization: string): void => conversions.inc({ quantization }),
  };
}
