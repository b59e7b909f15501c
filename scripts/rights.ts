// What the two ServiceAccounts may do, for docs/security.md, read from the roles of the chart.
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';

const words = z.array(z.string());
const role = z.object({
  kind: z.enum(['ClusterRole', 'Role']),
  metadata: z.object({ name: z.string() }),
  rules: z.array(z.object({ apiGroups: words, resources: words, verbs: words })),
});
export type Role = z.output<typeof role>;

/** Rules are plain YAML, so lines with a template may go. */
export function rolesOfChart(): Role[] {
  const text = readFileSync('charts/refmodel/templates/rbac.yaml', 'utf8');
  return text
    .split('\n---\n')
    .map((document) => document.replace(/^.*\{\{.*$/gm, ''))
    .filter((document) => /^kind: (Cluster)?Role$/m.test(document))
    .map((document) => role.parse(parse(document)));
}

const places = { ClusterRole: 'every namespace', Role: 'its own namespace' } as const;

export function rightsTable(): string {
  const rows = rolesOfChart().flatMap(({ kind, metadata, rules }) =>
    rules.map(({ apiGroups, resources, verbs }) => {
      const groups = apiGroups.map((group) => group || 'core').join(', ');
      const things = resources.map((name) => `\`${name}\``).join(', ');
      return `| \`${metadata.name}\` | ${places[kind]} | ${groups} | ${things} | ${verbs.join(', ')} |`;
    }),
  );
  return [
    '| account | where | API group | resources | verbs |',
    '|---|---|---|---|---|',
    ...rows.sort(),
    '',
  ].join('\n');
}
