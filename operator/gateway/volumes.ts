// --volume NAME=DIR: folders of this machine that stand for PersistentVolumeClaims.
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AppError } from '../../common/errors.ts';

/** Claim → folder. Throws CONFIGURATION_INVALID for what is no folder. */
export async function readVolumes(texts: readonly string[]): Promise<Map<string, string>> {
  const volumes = new Map<string, string>();
  for (const text of texts) {
    const [, name, folder] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    if (!name || !folder) throw wrongVolume(text, 'it is not NAME=DIR');
    const isFolder = await stat(folder).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (!isFolder) throw wrongVolume(text, 'there is no such folder');
    volumes.set(name, resolve(folder));
  }
  return volumes;
}

const wrongVolume = (text: string, what: string) =>
  new AppError('CONFIGURATION_INVALID', `reading --volume ${text}: ${what}`);
