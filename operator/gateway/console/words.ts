// Words and bars of a load, for a terminal. Pure.
import type { ConsoleModel, ConsoleState } from './contract.ts';

const barWidth = 30;

/** Its standing; while it loads, the phase and how far that is. */
export function phaseText({ standing, load }: ConsoleModel): string {
  if (standing !== 'Loading' || !load) return standing;
  const { phase, bytes, totalBytes } = load;
  return bytes !== undefined && totalBytes
    ? `${phase} ${Math.floor((100 * bytes) / totalBytes)}%`
    : phase;
}

/** "[=====     ] 50 %", as far as it is known. */
export function loadBar({ load }: ConsoleModel): string {
  if (load?.bytes === undefined || !load.totalBytes) return '';
  const share = Math.min(1, load.bytes / load.totalBytes);
  const size = `${bytesText(load.bytes)} of ${bytesText(load.totalBytes)}`;
  return `${bar(share)} ${Math.floor(100 * share)} %, ${size}`;
}

export function bar(share: number): string {
  const done = Math.round(Math.min(1, share) * barWidth);
  return `[${'='.repeat(done)}${' '.repeat(barWidth - done)}]`;
}

export function bytesText(bytes: number): string {
  if (bytes >= 2 ** 30) return `${(bytes / 2 ** 30).toFixed(1)}Gi`;
  return `${Math.ceil(bytes / 2 ** 20)}Mi`;
}

/** One line of the loads under way; empty without any. */
export const loadsText = ({ models }: ConsoleState): string =>
  models
    .filter(({ load }) => load !== undefined)
    .map((model) =>
      [`${model.name}: ${phaseText(model)}`, loadBar(model)].filter(Boolean).join(' '),
    )
    .join('  ');
