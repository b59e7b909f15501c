// Asks the Kubernetes API whose token it is and what they may do.
// Kubernetes: "TokenReview v1 authentication.k8s.io", "SubjectAccessReview v1 authorization.k8s.io".
import { createHash } from 'node:crypto';
import { group } from '../../../crds/reference-model.ts';
import type { KubeClient } from '../../kube/client.ts';
import { resources } from '../../kube/resources.ts';
import { splitKey } from '../../pool.ts';
import type { Right } from './rights.ts';
import { audience } from './token.ts';

/** Whose token it is, as the API server says: for instance "system:serviceaccount:rl:trainer". */
export interface Caller {
  username: string;
  uid?: string;
  groups?: string[];
  extra?: Record<string, string[]>;
}

/** A right on one model, or, with no name, on all of a namespace. */
export interface Wish {
  right: Right;
  namespace: string;
  name?: string;
}

export const wishOf = (right: Right, model: string): Wish => ({ right, ...splitKey(model) });

export interface Reviews {
  /** Undefined: the token is not valid, or not meant for us. */
  whose(token: string, signal: AbortSignal): Promise<Caller | undefined>;
  may(caller: Caller, wish: Wish, signal: AbortSignal): Promise<boolean>;
}

export class KubernetesReviews implements Reviews {
  readonly #client: KubeClient;

  constructor(client: KubeClient) {
    this.#client = client;
  }

  async whose(token: string, signal: AbortSignal): Promise<Caller | undefined> {
    const review = { spec: { token, audiences: [audience] } };
    const { status } = await this.#client.create(resources.tokenReviews, review, signal);
    // Without audiences in the answer, the token was valid for the API server and perhaps for nobody else.
    if (!status?.authenticated || !status.audiences?.includes(audience)) return undefined;
    const { username, ...more } = status.user ?? {};
    return username ? { username, ...more } : undefined;
  }

  async may(caller: Caller, { right, ...place }: Wish, signal: AbortSignal): Promise<boolean> {
    const { username: user, ...who } = caller;
    const resourceAttributes = { group, resource: 'referencemodels', ...right, ...place };
    const review = { spec: { user, ...who, resourceAttributes } };
    const { status } = await this.#client.create(resources.subjectAccessReviews, review, signal);
    return status?.allowed === true && status.denied !== true;
  }
}

/** Where there is no API server, and so no model that asks for a token. */
export const noReviews: Reviews = {
  whose: async () => undefined,
  may: async () => false,
};

/** Stands for a token where it must not be kept. */
export const fingerprint = (token: string): string =>
  createHash('sha256').update(token).digest('base64');
