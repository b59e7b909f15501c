// The alerts of the chart, read from its rules.
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';

export const rulesFile = 'charts/refmodel/files/rules.yaml';

const rules = z.object({
  groups: z.array(
    z.object({
      name: z.string(),
      rules: z.array(
        z.strictObject({
          alert: z.string(),
          expr: z.string(),
          for: z.string().optional(),
          labels: z.strictObject({ severity: z.enum(['critical', 'warning', 'info']) }),
          annotations: z.strictObject({
            summary: z.string(),
            description: z.string(),
            runbook_url: z.string(),
          }),
        }),
      ),
    }),
  ),
});

export const alerts = rules
  .parse(parse(readFileSync(rulesFile, 'utf8')))
  .groups.flatMap(({ rules }) => rules);

/** For docs/watching.md. */
export function alertTable(): string {
  const rows = alerts.map(({ alert, labels, annotations }) => {
    const says = annotations.summary.replace(/\{\{ \$labels\.(\w+) \}\}/g, '…');
    return `| [${alert}](runbooks/${alert}.md) | ${labels.severity} | ${says} |`;
  });
  return ['| alert | severity | says |', '|---|---|---|', ...rows, ''].join('\n');
}
