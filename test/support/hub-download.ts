// Downloads a model in a process of its own: node --import tsx hub-download.ts ENDPOINT CACHE. Prints the snapshot.
import { systemClock } from '../../common/clock.ts';
import { toAppError } from '../../common/errors.ts';
import { downloadSnapshot } from '../../server/model/hub/snapshot.ts';
import { neverAborted, settingsFor } from './hub-kit.ts';

const [endpoint = '', cacheDir = ''] = process.argv.slice(2);
process.on('SIGXFSZ', () => {}); // a limit on the size of files ends in EFBIG, not in our end

try {
  const { commit, root, path } = await downloadSnapshot(
    { repo: 'a/b', revision: 'main' },
    {
      cacheDir,
      settings: settingsFor({ endpoint }),
      weights: true,
      onProgress: () => {},
      clock: systemClock,
    },
    neverAborted,
  );
  console.log(JSON.stringify({ commit, root, path }));
} catch (err) {
  console.log(JSON.stringify({ code: toAppError(err).code }));
}
