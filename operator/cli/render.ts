// The state of the console as text for a terminal. Pure.
import type { ConsoleModel, ConsolePod, ConsoleState } from '../gateway/console/contract.ts';
import { bar, bytesText, phaseText } from '../gateway/console/words.ts';

export function stateText(state: ConsoleState, now: number): string {
  const parts = [
    table(
      ['MODEL', 'STATE', 'WAITING', 'RUNNING', 'WHERE', 'MEMORY', 'KL', 'ASKED'],
      state.models.map((model) => modelRow(model, now)),
    ),
    ...state.pods.map(podText),
    ...state.models.flatMap(troubleText),
    ...state.runs.map(
      ({ run, models, expiresAt }) =>
        `run ${run} keeps ${models.join(', ')} warm until ${expiresAt}\n`,
    ),
  ];
  return parts.join('\n');
}

function modelRow(model: ConsoleModel, now: number): string[] {
  const { name, held, inFlight, pods, memory, fidelity, lastRequest } = model;
  return [
    name,
    phaseText(model),
    String(held),
    String(inFlight),
    pods.join(',') || '-',
    memory ? bytesText(memory.host + memory.device) : '-',
    fidelity?.kl === undefined ? '-' : String(Number(fidelity.kl.toPrecision(2))),
    lastRequest === undefined ? '-' : ageText(now - Date.parse(lastRequest)),
  ];
}

function podText({ pod, pool, limits, models, isHeard, isDraining }: ConsolePod): string {
  const kinds = [
    { words: 'of the GPU', kind: 'device', limit: limits?.device },
    { words: 'of the machine', kind: 'host', limit: limits?.host },
  ] as const;
  const bars = kinds.flatMap(({ words, kind, limit }) => {
    const sum = models.reduce((bytes, { memory }) => bytes + (memory?.[kind] ?? 0), 0);
    if (limit === undefined) return [];
    return [`  ${bar(sum / limit)} ${bytesText(sum)} of ${bytesText(limit)} ${words}`];
  });
  const held = models.map(({ name, residency, memory }) => {
    const size = memory ? ` ${bytesText(memory.host + memory.device)}` : '';
    return `  ${name} ${residency}${size}`;
  });
  const notes = [isDraining && 'ending', !isHeard && 'not heard from'].filter(Boolean);
  const head = [`pod ${pod} of ${pool}`, ...notes].join(', ');
  return [head, ...bars, ...held, ''].join('\n');
}

function troubleText({ name, standing, why, held, waiting }: ConsoleModel): string[] {
  const lines: string[] = [];
  if (held > 0) {
    const whose = waiting.map(({ caller, requests }) => `${caller || 'nameless'} (${requests})`);
    lines.push(`${name}: ${held} wait: ${whose.join(', ')}`);
  }
  if (why) lines.push(`${name}: ${standing}, ${why.reason}: ${why.message}`);
  if (why?.remedy) lines.push(`  remedy: ${why.remedy}`);
  return lines.length === 0 ? [] : [`${lines.join('\n')}\n`];
}

export function table(head: string[], rows: string[][]): string {
  const widths = head.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const line = (cells: string[]) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('   ')
      .trimEnd();
  return `${[head, ...rows].map(line).join('\n')}\n`;
}

function ageText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}
