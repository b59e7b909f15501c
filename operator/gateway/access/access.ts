// May this caller do that with these models? Anonymous models are everybody's; of the others, the API server says.
// A token is kept by its hash only, for a short time, and written to no log.
import { abortable } from '../../../common/abort.ts';
import type { Clock } from '../../../common/clock.ts';
import { AppError } from '../../../common/errors.ts';
import { splitKey } from '../../pool.ts';
import type { GatewayModel } from '../backend.ts';
import { BriefCache } from './brief-cache.ts';
import { type Caller, fingerprint, type Reviews, type Wish, wishOf } from './reviews.ts';
import { type Right, scoring } from './rights.ts';
import { audience, mayBeOurs } from './token.ts';

/** Time for which an answer of the API server holds: a right that is taken away ends after it. Milliseconds. */
export const keepMs = 10_000;
const maxEntries = 10_000;
/** Questions to the API server at the same time; beyond them callers are told to come again. */
const maxReviews = 100;

export interface AccessOptions {
  reviews: Reviews;
  /** Whether leases and changes of the cache need their right for Anonymous models too. */
  guardsManagement: boolean;
  clock: Clock;
  /** Ends the questions that are under way. */
  shutdown: AbortSignal;
}

export class Access {
  readonly #options: AccessOptions;
  readonly #callers: BriefCache<Caller | undefined>;
  readonly #rights: BriefCache<boolean>;
  #reviews = 0;

  constructor(options: AccessOptions) {
    const { clock } = options;
    this.#options = options;
    this.#callers = new BriefCache({ clock, maxEntries, keepMs });
    this.#rights = new BriefCache({ clock, maxEntries, keepMs });
  }

  /** Whether anybody may: then there is nothing to ask, and nothing to wait for. */
  isOpen({ access }: GatewayModel, { subresource, verb }: Right): boolean {
    if (access === 'Authenticated') return false;
    const manages = subresource !== 'score' && verb !== 'get';
    return !(manages && this.#options.guardsManagement);
  }

  /** Throws UNAUTHENTICATED or FORBIDDEN for the first model with which the caller may not do that. */
  async require(
    models: readonly GatewayModel[],
    right: Right,
    token: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const refusal = await this.#refusal(models, right, token, signal);
    if (refusal) throw refusal;
  }

  async allows(
    models: readonly GatewayModel[],
    right: Right,
    token: string | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    return (await this.#refusal(models, right, token, signal)) === undefined;
  }

  /** Those of the models that the caller may score. Who has no valid token sees what is everybody's. */
  async visible(
    models: readonly GatewayModel[],
    token: string | undefined,
    signal: AbortSignal,
  ): Promise<readonly GatewayModel[]> {
    if (models.every((model) => this.isOpen(model, scoring))) return models;
    const caller = await this.#identify(token, signal);
    const shown: GatewayModel[] = [];
    for (const model of models) {
      const isShown =
        this.isOpen(model, scoring) || (caller && (await this.#seesModel(caller, model, signal)));
      if (isShown) shown.push(model);
    }
    return shown;
  }

  async #refusal(
    models: readonly GatewayModel[],
    right: Right,
    token: string | undefined,
    signal: AbortSignal,
  ): Promise<AppError | undefined> {
    const guarded = models.filter((model) => !this.isOpen(model, right));
    const [first] = guarded;
    if (!first) return undefined;
    const caller = await this.#identify(token, signal);
    if (!caller) return unauthenticated(first.key, token);
    for (const { key } of guarded) {
      const wish = wishOf(right, key);
      if (!(await this.#may(caller, wish, signal))) return forbidden(caller, wish);
    }
    return undefined;
  }

  /** Most rights are on all models of a namespace: asked first, it spares a question for each. */
  async #seesModel(caller: Caller, { key }: GatewayModel, signal: AbortSignal): Promise<boolean> {
    const { namespace } = splitKey(key);
    return (
      (await this.#may(caller, { right: scoring, namespace }, signal)) ||
      (await this.#may(caller, wishOf(scoring, key), signal))
    );
  }

  async #identify(token: string | undefined, signal: AbortSignal): Promise<Caller | undefined> {
    const { clock, reviews, shutdown } = this.#options;
    if (token === undefined || !mayBeOurs(token, clock.now())) return undefined;
    const ask = () => this.#ask(() => reviews.whose(token, shutdown));
    return abortable(this.#callers.get(fingerprint(token), ask), signal);
  }

  async #may(caller: Caller, wish: Wish, signal: AbortSignal): Promise<boolean> {
    const { reviews, shutdown } = this.#options;
    const ask = () => this.#ask(() => reviews.may(caller, wish, shutdown));
    return abortable(this.#rights.get(JSON.stringify([caller, wish]), ask), signal);
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    if (this.#reviews >= maxReviews) throw unknown(`${maxReviews} questions are under way`);
    this.#reviews += 1;
    try {
      return await question();
    } catch (err) {
      throw unknown(err instanceof Error ? err.message : String(err), err);
    } finally {
      this.#reviews -= 1;
    }
  }
}

const unauthenticated = (model: string, token: string | undefined) =>
  new AppError(
    'UNAUTHENTICATED',
    token === undefined
      ? `"${model}" is for callers with a token: send "Authorization: Bearer <token>", of a ServiceAccount, for the audience "${audience}"`
      : `"${model}" is for callers with a token, and this one is not valid: it must be of a ServiceAccount, for the audience "${audience}", and not expired`,
  );

const forbidden = ({ username }: Caller, { right, namespace, name }: Wish) =>
  new AppError(
    'FORBIDDEN',
    `${username} may not ${right.verb} referencemodels/${right.subresource} of "${namespace}/${name}"`,
  );

const unknown = (why: string, cause?: unknown) =>
  new AppError('ACCESS_UNKNOWN', `asking the Kubernetes API what the caller may do: ${why}`, {
    cause,
  });
