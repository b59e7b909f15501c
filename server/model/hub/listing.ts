// The files of a repository at one commit, with their sizes and checksums: asked of the hub once, then kept.
// GET /api/models/<repo>/revision/<revision>?blobs=true (huggingface.co/docs/hub/api).
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import type { Clock } from '../../../common/clock.ts';
import { AppError } from '../../../common/errors.ts';
import { isFileName } from './names.ts';
import { connectionLost, notTheHub } from './refusal.ts';
import type { HubAnswer, HubClient } from './request.ts';
import { retrying } from './retries.ts';

const sha1 = z.string().regex(/^[0-9a-f]{40}$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

export const hubFile = z.object({
  name: z.string().refine(isFileName),
  size: z.int().min(0),
  /** Name of the content: its SHA-256 when it is in Large File Storage, else git's SHA-1 of it. */
  etag: z.union([sha1, sha256]),
});
export type HubFile = z.output<typeof hubFile>;

/** Hex; undefined for a file that lies in git itself. */
export const sha256Of = ({ etag }: HubFile): string | undefined =>
  etag.length === 64 ? etag : undefined;

export interface Listing {
  readonly commit: string;
  /** Only those right in the folder of the model. */
  readonly files: readonly HubFile[];
}

const sibling = z.object({
  rfilename: z.string(),
  size: z.int().min(0),
  blobId: sha1,
  lfs: z.object({ sha256, size: z.int().min(0) }).nullish(),
});
const modelInfo = z.object({ sha: sha1, siblings: z.array(z.unknown()) });
const named = z.object({ rfilename: z.string() });

/** Throws what HubClient.get does. */
export async function fetchListing(
  client: HubClient,
  { repo, revision, clock }: { repo: string; revision: string; clock: Clock },
  signal: AbortSignal,
): Promise<Listing> {
  const what = `the list of files of ${repo} at ${revision}`;
  const path = `/api/models/${repo}/revision/${encodeURIComponent(revision)}?blobs=true`;
  const body = await retrying(
    async () => bodyOf(await client.get(path, { what }, signal), what, signal),
    clock,
    signal,
  );
  return parseListing(body, what);
}

async function bodyOf(answer: HubAnswer, what: string, signal: AbortSignal): Promise<string> {
  try {
    return await text(answer.body);
  } catch (err: unknown) {
    signal.throwIfAborted();
    throw connectionLost(what, err);
  }
}

function parseListing(body: string, what: string): Listing {
  try {
    const { sha, siblings } = modelInfo.parse(JSON.parse(body));
    const inFolder = siblings.filter((file) => isFileName(named.parse(file).rfilename));
    return { commit: sha, files: inFolder.map((file) => toFile(sibling.parse(file))) };
  } catch (err: unknown) {
    if (err instanceof AppError) throw err;
    throw notTheHub(what, 'it sent something else than a list of files', err);
  }
}

const toFile = ({ rfilename, size, blobId, lfs }: z.output<typeof sibling>): HubFile => ({
  name: rfilename,
  size: lfs?.size ?? size,
  etag: lfs?.sha256 ?? blobId,
});
