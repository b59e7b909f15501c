// Which names of repositories, revisions and files may become part of a path or of an address. Pure.
import { AppError } from '../../../common/errors.ts';

const ownerAndName = /^[A-Za-z0-9_][\w.-]{0,95}\/[A-Za-z0-9_][\w.-]{0,95}$/;
const gitReference = /^[A-Za-z0-9_][\w.+-]*(\/[A-Za-z0-9_][\w.+-]*)*$/;
const fileName = /^[A-Za-z0-9_][\w.+-]{0,254}$/;

/** Throws HUB_REPO_NOT_FOUND: the hub has none of a name that breaks its rules. */
export function assertRepo(repo: string): void {
  // "--" is what "/" becomes in the name of a folder; the hub forbids both in names.
  if (ownerAndName.test(repo) && !/\.\.|--/.test(repo)) return;
  const problem = `"${repo}" is not a name that a repository can have, which is "owner/name"`;
  throw new AppError('HUB_REPO_NOT_FOUND', `downloading a model: ${problem}`);
}

/** Throws HUB_REVISION_NOT_FOUND. */
export function assertRevision(revision: string): void {
  if (gitReference.test(revision) && !/\.\.|\.lock(\/|$)/.test(revision) && revision.length <= 200)
    return;
  const problem = `"${revision}" is not a name that a branch, tag or commit can have`;
  throw new AppError('HUB_REVISION_NOT_FOUND', `downloading a model: ${problem}`);
}

/** A full commit sha: it means the same for ever. */
export const isCommit = (revision: string): boolean => /^[0-9a-f]{40}$/.test(revision);

/** Right in the folder of the model, and nothing else: no path. */
export const isFileName = (name: string): boolean => fileName.test(name) && !name.includes('..');
