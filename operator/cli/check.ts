// `refmodel check`: are manifests valid, and will their models fit?
import { z } from 'zod';
import { type Arguments, type CommandSpec, command, usageError } from '../../common/command.ts';
import { parseConfig } from '../../common/config.ts';
import { AppError } from '../../common/errors.ts';
import { quantity } from '../../crds/common.ts';
import { executionProviders, type GPUClass } from '../../crds/gpu-class.ts';
import type { ReferenceModel } from '../../crds/reference-model.ts';
import { hubSettings, hubVariables } from '../../server/model/hub/settings.ts';
import { bytesText } from '../gateway/console/words.ts';
import { readManifests } from '../gateway/manifests.ts';
import { readVolumes } from '../gateway/volumes.ts';
import { modelKey } from '../pool.ts';
import { judge, refusal } from '../verdict.ts';
import { endSignal, jsonOption } from './connection.ts';
import {
  type Fit,
  type FitClass,
  type FitOptions,
  fitOf,
  parameterCount,
  reasonOf,
} from './fit.ts';

const spec: CommandSpec = {
  name: 'check',
  takes: 'MANIFEST... [options]',
  about: `Reads ReferenceModels and GPUClasses as the API server would, in words that name the field, and computes whether
each model fits the memory of its class, as a pod would before it loads it. Nothing is loaded, and of the hub only
config.json is fetched. Ends with 1 when something is wrong or does not fit.`,
  options: {
    volume: {
      value: 'NAME=DIR',
      multiple: true,
      help: 'folder of the claim NAME; may be repeated',
    },
    parameters: { value: 'N', help: 'estimate from a number such as 8B, not from a checkpoint' },
    memory: {
      value: 'SIZE',
      help: 'memory of the class, for instance 21Gi, where no manifest has it',
    },
    provider: { value: 'NAME', help: 'CUDA or CPU, with --memory (default CUDA)' },
    'no-fit': { help: 'only whether the manifests are valid' },
    json: jsonOption,
  },
};
export const { usage, main } = command(spec, run);

interface Finding {
  /** "<namespace>/<name>", or the file that cannot be read. */
  name: string;
  verdict: 'fits' | 'valid' | 'unknown' | 'too large' | 'invalid';
  message: string;
  fit?: Fit;
}

async function run(args: Arguments, env: NodeJS.ProcessEnv): Promise<void> {
  if (args.positionals.length === 0) throw usageError('check', 'no manifest is given');
  const settings = await readSettings(args, env);
  const findings = await check(args.positionals, settings, endSignal());
  process.stdout.write(
    args.has('json') ? `${JSON.stringify({ findings }, null, 2)}\n` : findings.map(line).join(''),
  );
  const isBad = ({ verdict }: Finding) => verdict === 'invalid' || verdict === 'too large';
  if (findings.some(isBad)) process.exitCode = 1;
}

const line = ({ name, verdict, message }: Finding): string => `${name}: ${verdict}: ${message}\n`;

interface Settings extends Omit<FitOptions, 'gpuClass'> {
  /** Of models whose class no manifest has. */
  gpuClass: FitClass | undefined;
  asksFit: boolean;
}

const providerName = z.enum(executionProviders);

async function readSettings(args: Arguments, env: NodeJS.ProcessEnv): Promise<Settings> {
  const memory = args.value('memory');
  if (memory !== undefined && !quantity.safeParse(memory).success) {
    throw usageError('check', `--memory ${memory} is no quantity such as 21Gi`);
  }
  const provider = providerName.safeParse(args.value('provider') ?? 'CUDA');
  if (!provider.data) throw usageError('check', `--provider ${args.value('provider')} is unknown`);
  const text = args.value('parameters');
  const parameters = text === undefined ? undefined : parameterCount(text);
  if (text !== undefined && parameters === undefined) {
    throw usageError('check', `--parameters ${text} is no number such as 8B`);
  }
  return {
    gpuClass: memory === undefined ? undefined : { executionProvider: provider.data, memory },
    volumes: await readVolumes(args.values('volume')),
    hub: hubSettings(parseConfig(z.object(hubVariables), hubEnv(env))),
    parameters,
    asksFit: !args.has('no-fit'),
  };
}

/** What else the shell has set is for other commands. */
const hubEnv = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.keys(hubVariables).map((name) => [name, env[name]]));

/** One finding for each model, and one for each file that cannot be read. */
export async function check(
  paths: readonly string[],
  settings: Settings,
  signal: AbortSignal,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const models: ReferenceModel[] = [];
  const classes: GPUClass[] = [];
  for (const path of paths) {
    try {
      const read = await readManifests([path]);
      models.push(...read.models);
      classes.push(...read.classes);
    } catch (err) {
      findings.push({ name: path, verdict: 'invalid', message: reasonOf(err).message });
    }
  }
  if (models.length + findings.length === 0) {
    throw new AppError(
      'MANIFEST_INVALID',
      'reading the manifests: there is no ReferenceModel in them',
    );
  }
  for (const model of models) findings.push(await checkModel(model, classes, settings, signal));
  return findings;
}

async function checkModel(
  model: ReferenceModel,
  classes: readonly GPUClass[],
  settings: Settings,
  signal: AbortSignal,
): Promise<Finding> {
  const name = modelKey(model);
  const problem = refusal(model);
  if (problem) return { name, verdict: 'invalid', message: problem.message };
  if (!settings.asksFit) return { name, verdict: 'valid', message: 'the manifest is valid' };
  const gpuClass = judge(model, classes).gpuClass?.spec ?? settings.gpuClass;
  if (!gpuClass) return { name, verdict: 'valid', message: withoutClass(model) };
  try {
    const fit = await fitOf(model, { ...settings, gpuClass }, signal);
    return { name, verdict: fit.fits ? 'fits' : 'too large', message: fitText(fit, model), fit };
  } catch (err) {
    signal.throwIfAborted();
    const { code, message } = reasonOf(err);
    return {
      name,
      verdict: 'unknown',
      message: `whether it fits is not known: ${code}: ${message}`,
    };
  }
}

function withoutClass({ spec }: ReferenceModel): string {
  const which = spec.gpuClass === undefined ? 'the default class' : `GPUClass "${spec.gpuClass}"`;
  return `the manifest is valid; ${which} is in no manifest, so --memory says what it has`;
}

function fitText({ needs, has, fits, by }: Fit, { spec }: ReferenceModel): string {
  const about = by === 'parameters' ? 'about ' : '';
  const numbers = `it needs ${about}${bytesText(needs)} of ${bytesText(has)} as ${spec.quantization}`;
  return fits ? numbers : `${numbers}; use a larger GPUClass or a stronger quantization`;
}
