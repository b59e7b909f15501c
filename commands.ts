// The table of commands: which module runs each. Help, shell completion and docs/cli.md are made from it.
import type { Command } from './common/command.ts';

export interface CommandEntry {
  summary: string;
  load: () => Promise<Command>;
}

export const commands: Record<string, CommandEntry> = {
  local: {
    summary: 'serve ReferenceModel manifests on this machine, without a cluster',
    load: () => import('./operator/gateway/local.ts'),
  },
  status: {
    summary: 'what is warm and where, who waits and why',
    load: () => import('./operator/cli/status.ts'),
  },
  wake: {
    summary: 'load a model before anybody asks for it',
    load: () => import('./operator/cli/wake.ts'),
  },
  lease: {
    summary: 'keep models warm for a training run',
    load: () => import('./operator/cli/lease.ts'),
  },
  score: {
    summary: 'compute the log-probs of a data set',
    load: () => import('./server/offline/main.ts'),
  },
  check: {
    summary: 'are manifests valid, and will their models fit?',
    load: () => import('./operator/cli/check.ts'),
  },
  completion: {
    summary: 'print a script that makes a shell complete commands and options',
    load: () => import('./operator/cli/completion.ts'),
  },
  operator: {
    summary: 'the controller of a cluster: reconciles ReferenceModels into pods',
    load: () => import('./operator/controller/main.ts'),
  },
  gateway: {
    summary: 'the gateway of a cluster: routes, holds and wakes',
    load: () => import('./operator/gateway/main.ts'),
  },
  server: {
    summary: 'the inference server of a pod',
    load: () => import('./server/main.ts'),
  },
};
