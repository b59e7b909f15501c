// A folder as the volume that has a checkpoint right inside.
import type { VolumePath } from '../../server/model/checkpoint/inside.ts';

export const volumeOf = (folder: string): VolumePath => ({ root: folder, path: '.' });
