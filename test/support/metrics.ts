// Metrics as a scraper reads them.
import type { Registry } from 'prom-client';

/** "name{labels}" → value, of the metrics that begin with `prefix`. */
export async function scrape(registry: Registry, prefix = ''): Promise<Record<string, number>> {
  const lines = (await registry.metrics()).split('\n');
  const samples = lines.flatMap((line) => {
    const cut = line.lastIndexOf(' ');
    const isSample = cut > 0 && !line.startsWith('#') && line.startsWith(prefix);
    return isSample ? [[line.slice(0, cut), Number(line.slice(cut + 1))] as const] : [];
  });
  return Object.fromEntries(samples);
}
