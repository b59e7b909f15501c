// How far a run has come, as a line of text. Pure.
import type { Progress } from './run.ts';

const width = 30;

/** A bar that replaces the one before it; where nobody watches, a line of its own. */
export function progressText(
  { lines, bytes }: Progress,
  size: number,
  isTerminal: boolean,
): string {
  const share = size === 0 ? 1 : Math.min(1, bytes / size);
  const percent = `${Math.floor(100 * share)} %`;
  if (!isTerminal) return `${percent}, ${lines} lines\n`;
  const done = Math.round(share * width);
  return `\r[${'='.repeat(done)}${' '.repeat(width - done)}] ${percent}, ${lines} lines`;
}
