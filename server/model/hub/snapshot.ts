// A model of the hub on disk: resolves its revision to a commit once, downloads what is missing, several files at once,
// and says where it lies. What is there already needs no network.
import { createHash } from 'node:crypto';
import { mkdir, readFile, statfs } from 'node:fs/promises';
import { linkSignals } from '../../../common/abort.ts';
import type { Clock } from '../../../common/clock.ts';
import { AppError } from '../../../common/errors.ts';
import type { VolumePath } from '../checkpoint/inside.ts';
import { readIndex, shardNames } from '../checkpoint/source.ts';
import { asDiskError, isErrno } from '../disk.ts';
import { downloadBlob, hasBlob } from './download.ts';
import { RepoFolder } from './folder.ts';
import { fetchListing, type HubFile, type Listing, sha256Of } from './listing.ts';
import { assertRepo, assertRevision, isCommit } from './names.ts';
import { partialBytes } from './partial.ts';
import { HubClient } from './request.ts';
import { indexName, select, selectParts } from './selection.ts';
import type { HubSettings } from './settings.ts';
import { type DownloadProgress, Tally } from './tally.ts';

const filesAtOnce = 4;

export interface HubSource {
  /** "owner/name". */
  readonly repo: string;
  /** Branch, tag or commit. */
  readonly revision: string;
  /** What `revision` was resolved to before. */
  readonly commit?: string;
  /** File with the access token; without it the token of the settings is used. */
  readonly tokenFile?: string;
}

export interface SnapshotOptions {
  readonly cacheDir: string;
  readonly settings: HubSettings;
  /** False: configuration and tokenizer only. */
  readonly weights: boolean;
  /** Told when the download begins, now and then, and at its end; never when nothing is missing. */
  readonly onProgress: (progress: DownloadProgress) => void;
  readonly clock: Clock;
}

/** `root` and `path` are what readCheckpoint takes. */
export interface Snapshot extends VolumePath {
  readonly commit: string;
  /** Of config.json and the weights by file name, there or not. */
  readonly sha256: ReadonlyMap<string, string>;
  /** Bytes of the weights, there or not. */
  readonly weightBytes: number;
}

/** Throws HUB_OFFLINE, MODEL_FILES_MISSING, DISK_FULL, DOWNLOAD_CORRUPT or another code of HUB_. */
export async function downloadSnapshot(
  source: HubSource,
  options: SnapshotOptions,
  signal: AbortSignal,
): Promise<Snapshot> {
  const { repo } = source;
  const revision = source.commit ?? source.revision;
  assertRepo(repo);
  assertRevision(revision);
  const { cacheDir, settings } = options;
  const folder = new RepoFolder(cacheDir, repo);
  const commit = isCommit(revision) ? revision : await folder.readRef(revision);
  const listing = commit && (await knownListing(folder, commit, settings));
  const work = { repo, folder, options };
  const there = listing && (await ifWhole({ ...work, listing }));
  if (there) return there;
  if (settings.isOffline) throw offline(source);
  const token = source.tokenFile ? await readToken(source.tokenFile) : settings.token;
  await using client = new HubClient({ ...settings, ...(token && { token }) }, options.clock);
  const found = listing || (await ask(client, { ...work, revision, commit }, signal));
  return await complete({ ...work, listing: found, client }, signal);
}

interface Work {
  readonly repo: string;
  readonly folder: RepoFolder;
  readonly listing: Listing;
  readonly options: SnapshotOptions;
}
type Online = Work & { readonly client: HubClient };

async function knownListing(
  folder: RepoFolder,
  commit: string,
  { isOffline }: HubSettings,
): Promise<Listing | undefined> {
  const stored = await folder.readListing(commit);
  // Of a folder that another client filled only the hub knows whether it is whole, and nobody may ask it.
  return stored ?? (isOffline ? await folder.listSnapshot(commit) : undefined);
}

async function ask(
  client: HubClient,
  {
    repo,
    folder,
    options,
    revision,
    commit,
  }: Omit<Work, 'listing'> & { revision: string; commit: string | undefined },
  signal: AbortSignal,
): Promise<Listing> {
  const { clock } = options;
  const listing = await fetchListing(client, { repo, revision: commit ?? revision, clock }, signal);
  select(repo, listing); // what holds no model is not what the revision stands for from now on
  await folder.writeListing(listing, signal);
  if (!isCommit(revision)) await folder.writeRef(revision, listing.commit, signal);
  return listing;
}

/** The snapshot, if nothing of it is missing. */
async function ifWhole(work: Work): Promise<Snapshot | undefined> {
  const { folder, listing, options } = work;
  const { small, index, single } = select(work.repo, listing);
  if (index && !(await folder.has(listing.commit, index))) return undefined;
  const weights = single ? [single] : await partsOf(work);
  const wanted = [...small, ...weights.filter(needed(options))];
  for (const file of wanted) if (!(await folder.has(listing.commit, file))) return undefined;
  return snapshotOf(work, weights);
}

async function complete(work: Online, signal: AbortSignal): Promise<Snapshot> {
  const { repo, folder, listing, options } = work;
  const { small, index, single } = select(repo, listing);
  await mkdir(folder.blobs, { recursive: true }).catch((err: unknown) => {
    throw asDiskError(err, folder.blobs);
  });
  if (index) await fetchFile(work, index, { onBytes: () => {}, signal });
  const weights = single ? [single] : await partsOf(work);
  const wanted = [...small, ...weights.filter(needed(options))];
  await assertRoom(folder, wanted);
  await fetchAll(work, wanted, signal);
  return snapshotOf(work, weights);
}

/** Weights that lie in git itself are small, and the hub does not tell their SHA-256. */
const needed =
  ({ weights }: SnapshotOptions) =>
  (file: HubFile): boolean =>
    weights || sha256Of(file) === undefined;

async function partsOf({ repo, folder, listing }: Work): Promise<HubFile[]> {
  const names = shardNames(await readIndex(folder.file(listing.commit, indexName)));
  return selectParts(repo, listing, names);
}

async function snapshotOf(
  { folder, listing }: Work,
  weights: readonly HubFile[],
): Promise<Snapshot> {
  const { commit } = listing;
  const sha256 = new Map([['config.json', await hashOf(folder.file(commit, 'config.json'))]]);
  for (const file of weights) {
    sha256.set(file.name, sha256Of(file) ?? (await hashOf(folder.file(commit, file.name))));
  }
  const path = folder.snapshot(commit);
  return { commit, root: folder.root, path, sha256, weightBytes: bytesOf(weights) };
}

const bytesOf = (files: readonly HubFile[]): number =>
  files.reduce((sum, { size }) => sum + size, 0);

const hashOf = async (file: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex');

/** Before hours are spent. A quota of the volume is not seen here; it ends in DISK_FULL all the same. */
async function assertRoom({ blobs }: RepoFolder, wanted: readonly HubFile[]): Promise<void> {
  let bytes = -(await partialBytes(blobs));
  for (const file of wanted) if (!(await hasBlob(blobs, file))) bytes += file.size;
  const { bavail, bsize } = await statfs(blobs);
  if (bytes <= bavail * bsize) return;
  const problem = `it needs ${bytes} bytes more, ${bavail * bsize} are free`;
  throw new AppError('DISK_FULL', `downloading to ${blobs}: ${problem}`);
}

async function fetchAll(
  work: Online,
  wanted: readonly HubFile[],
  signal: AbortSignal,
): Promise<void> {
  const { clock, onProgress } = work.options;
  const tally = new Tally(bytesOf(wanted), clock, onProgress);
  const left = wanted.values(); // shared: each worker takes the next
  using all = linkSignals(signal);
  const worker = async () => {
    for (const file of left) {
      await fetchFile(work, file, { onBytes: tally.add, signal: all.signal });
      tally.finishFile();
    }
  };
  const workers = Array.from({ length: filesAtOnce }, worker);
  try {
    await Promise.all(workers);
  } catch (err: unknown) {
    all.abort(err instanceof Error ? err : new Error(String(err)));
    await Promise.allSettled(workers); // each leaves its file in order
    throw err;
  }
  tally.report();
}

async function fetchFile(
  { client, repo, folder, listing, options }: Online,
  file: HubFile,
  { onBytes, signal }: { onBytes: (bytes: number) => void; signal: AbortSignal },
): Promise<void> {
  const { commit } = listing;
  const { blobs } = folder;
  const { clock } = options;
  await downloadBlob({ client, repo, commit, file, blobs, onBytes, clock }, signal);
  await folder.link(commit, file);
}

async function readToken(file: string): Promise<string> {
  try {
    const token = (await readFile(file, 'utf8')).trim();
    if (token !== '') return token;
  } catch (err: unknown) {
    if (!isErrno(err, 'ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES')) throw err;
  }
  const problem = `there is no token in ${file}; create the Secret of spec.model.huggingFace.tokenSecretRef with that key`;
  throw new AppError('HUB_UNAUTHORIZED', `downloading a model: ${problem}`);
}

const offline = ({ repo, revision }: HubSource): AppError =>
  new AppError(
    'HUB_OFFLINE',
    `downloading ${repo} at ${revision}: HF_HUB_OFFLINE is set and the cache lacks it, or a part; fill the cache or unset it`,
  );
