// How far a run has come, as text for a person.
import type { Progress } from './run.ts';

const width = 30;

/** On a terminal a bar that replaces the one before it; elsewhere a line at every percent. */
export function progressBar(
  write: (text: string) => void,
  isTerminal: boolean,
): (progress: Progress) => void {
  let shown = -1;
  return ({ lines, share }) => {
    const percent = Math.floor(100 * share);
    if (isTerminal) {
      const done = Math.round(share * width);
      write(`\r[${'='.repeat(done)}${' '.repeat(width - done)}] ${percent} %, ${lines} lines`);
    } else if (percent > shown) {
      write(`${percent} %, ${lines} lines\n`);
    }
    shown = percent;
  };
}
