// What the two ServiceAccounts may do, for docs/security.md, read from the chart.
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';

const words = z.array(z.string());
const rules = z.array(z.object({ apiGroups: words, resources: words, verbs: words }));

const places = {
  cluster: 'the cluster',
  models: 'namespaces of models',
  own: 'its own namespace',
} as const;

export interface Rights {
  account: 'operator' | 'gateway';
  scope: keyof typeof places;
  rules: z.output<typeof rules>;
}

const definition =
  /define "refmodel\.rights\.(operator|gateway)\.(models|cluster|own)" -\}\}\n(.*?)\n\{\{- end/gs;

export function rightsOfChart(): Rights[] {
  const text = readFileSync('charts/refmodel/templates/_rights.tpl', 'utf8');
  return [...text.matchAll(definition)].map(([, account, scope, yaml = '']) => ({
    account: account as Rights['account'],
    scope: scope as Rights['scope'],
    rules: rules.parse(parse(yaml)),
  }));
}

export function rightsTable(): string {
  const rows = rightsOfChart().flatMap(({ account, scope, rules }) =>
    rules.map(({ apiGroups, resources, verbs }) => {
      const groups = apiGroups.map((group) => group || 'core').join(', ');
      const things = resources.map((name) => `\`${name}\``).join(', ');
      return `| \`refmodel-${account}\` | ${places[scope]} | ${groups} | ${things} | ${verbs.join(', ')} |`;
    }),
  );
  return [
    '| account | where | API group | resources | verbs |',
    '|---|---|---|---|---|',
    ...rows.sort(),
    '',
  ].join('\n');
}
