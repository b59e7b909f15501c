// Where the files of a model come from: a folder of a mounted volume, or the Hugging Face hub by way of the cache folder.
import { systemClock } from '../../../common/clock.ts';
import { AppError } from '../../../common/errors.ts';
import type { CatalogModel } from '../../contract.ts';
import type { HubSettings } from '../hub/settings.ts';
import { downloadSnapshot } from '../hub/snapshot.ts';
import { atBoundedRate, type Report } from '../progress.ts';
import type { Store } from '../store/store.ts';
import { digestOf } from './digest.ts';
import type { VolumePath } from './inside.ts';

export interface OriginOptions {
  readonly cacheDir: string;
  readonly store: Store;
  readonly hub: HubSettings;
  readonly report: Report;
  /** Keeps what lies at `file`, or will, in the cache folder until the model is loaded. */
  readonly keep: (file: string) => Promise<void>;
}

export interface Origin {
  /** Configuration and tokenizer are there. */
  readonly source: VolumePath;
  /** Of the hub. */
  readonly commit?: string;
  /** Of config.json and weights, where it is known before the weights are there: see digest.ts. */
  readonly digest?: string;
  /** Makes the weights be there too. */
  fetchWeights(signal: AbortSignal): Promise<void>;
}

/** Throws what the hub client throws, or INTERNAL for a catalog without a source. */
export async function openOrigin(
  { source, name }: CatalogModel,
  options: OriginOptions,
  signal: AbortSignal,
): Promise<Origin> {
  if (source.volume) return { source: source.volume, fetchWeights: async () => {} };
  if (!source.huggingFace) throw new AppError('INTERNAL', `the catalog gives "${name}" no source`);
  return fromHub(source.huggingFace, options, signal);
}

type HubSource = NonNullable<CatalogModel['source']['huggingFace']>;

async function fromHub(
  source: HubSource,
  { cacheDir, store, hub, report, keep }: OriginOptions,
  signal: AbortSignal,
): Promise<Origin> {
  const bounded = atBoundedRate(report);
  const download = (weights: boolean, signal: AbortSignal) =>
    downloadSnapshot(
      source,
      {
        cacheDir,
        settings: hub,
        weights,
        onProgress: ({ bytes, totalBytes }) => bounded({ phase: 'Downloading', bytes, totalBytes }),
        clock: systemClock,
      },
      signal,
    );
  const { root, path, commit, sha256, weightBytes } = await download(false, signal);
  return {
    source: { root, path },
    commit,
    digest: digestOf(sha256),
    async fetchWeights(signal) {
      await keep(root);
      const write = async (signal: AbortSignal) => void (await download(true, signal));
      await store.fill(root, { bytes: weightBytes, write }, signal);
    },
  };
}
