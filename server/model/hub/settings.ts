// How the Hugging Face hub is reached: the variables that its own clients read, under their names. Parses, asks nothing.
import { z } from 'zod';

const yes = ['1', 'on', 'yes', 'true'];
const proxy = z
  .string()
  .transform((text) => (text.includes('://') ? text : `http://${text}`))
  .refine((text) => /^https?:/.test(text) && URL.canParse(text), 'must be an http:// address')
  .optional();
const hosts = z.string().optional();

/** For the settings of a process that downloads, or starts one that does. */
export const hubVariables = {
  HF_ENDPOINT: z
    .url({ protocol: /^https?$/ })
    .default('https://huggingface.co')
    .describe('The Hugging Face hub, or a mirror of it.'),
  HF_TOKEN: z
    .string()
    .optional()
    .describe('Access token, for models that name no Secret with one of their own.'),
  HF_HUB_OFFLINE: z
    .string()
    .optional()
    .transform((value) => yes.includes(value?.toLowerCase() ?? ''))
    .describe('1, on, yes or true: use what is in the cache, ask nobody.'),
  HTTPS_PROXY: proxy.describe('Proxy for https:// addresses. Default: HTTP_PROXY.'),
  HTTP_PROXY: proxy.describe('Proxy for http:// addresses.'),
  NO_PROXY: hosts.describe('Hosts that are reached without a proxy, separated by commas.'),
  https_proxy: proxy.describe('As HTTPS_PROXY, and before it.'),
  http_proxy: proxy.describe('As HTTP_PROXY, and before it.'),
  no_proxy: hosts.describe('As NO_PROXY, and before it.'),
};
type Variables = z.output<z.ZodObject<typeof hubVariables>>;

export interface HubSettings {
  /** Without a slash at its end. */
  readonly endpoint: string;
  readonly token?: string;
  readonly isOffline: boolean;
  /** Empty where there is none. */
  readonly proxies: { readonly http: string; readonly https: string; readonly except: string };
}

export function hubSettings(variables: Variables): HubSettings {
  const token = variables.HF_TOKEN?.trim();
  return {
    endpoint: variables.HF_ENDPOINT.replace(/\/+$/, ''),
    ...(token && { token }),
    isOffline: variables.HF_HUB_OFFLINE,
    proxies: {
      http: variables.http_proxy ?? variables.HTTP_PROXY ?? '',
      https: variables.https_proxy ?? variables.HTTPS_PROXY ?? '',
      except: variables.no_proxy ?? variables.NO_PROXY ?? '',
    },
  };
}

/** Asks nobody. */
export const offlineHub: HubSettings = {
  endpoint: 'https://huggingface.co',
  isOffline: true,
  proxies: { http: '', https: '', except: '' },
};
