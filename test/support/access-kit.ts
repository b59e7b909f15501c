// Callers and rights for tests of access: tokens in the shape of a ServiceAccount's, and an API server's two answers from
// two lists. What a real API server says is tested in e2e.
import type { Caller, Reviews, Wish } from '../../operator/gateway/access/reviews.ts';

const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token of the ServiceAccount `rl:<name>`; what only an API server can check is not there. */
export const tokenOf = (name: string, claims: object = {}): string => {
  const all = { aud: ['refmodel'], exp: 4_000_000_000, sub: name, ...claims };
  return `${encoded({ alg: 'RS256' })}.${encoded(all)}.signature`;
};

export const bearer = (name: string) => ({ authorization: `Bearer ${tokenOf(name)}` });

/** "verb subresource namespace/name", or with no name for all of the namespace. */
export type Grant = string;

export class FakeReviews implements Reviews {
  /** Questions so far. */
  readonly asked: string[] = [];
  /** By name of the account. */
  readonly #grants: Map<string, Set<Grant>>;
  /** Set: the API server fails. */
  failure: Error | undefined;

  constructor(grants: Record<string, Grant[]>) {
    this.#grants = new Map(
      Object.entries(grants).map(([name, list]) => [
        `system:serviceaccount:rl:${name}`,
        new Set(list),
      ]),
    );
  }

  revoke(name: string): void {
    this.#grants.get(`system:serviceaccount:rl:${name}`)?.clear();
  }

  async whose(token: string): Promise<Caller | undefined> {
    this.asked.push('whose');
    if (this.failure) throw this.failure;
    const username = [...this.#grants.keys()].find(
      (user) => tokenOf(user.split(':').at(-1) ?? '') === token,
    );
    return username === undefined ? undefined : { username };
  }

  async may({ username }: Caller, { right, namespace, name }: Wish): Promise<boolean> {
    const place = name === undefined ? namespace : `${namespace}/${name}`;
    this.asked.push(`may ${right.verb} ${right.subresource} ${place}`);
    if (this.failure) throw this.failure;
    const grants = this.#grants.get(username);
    const may = (where: string) => grants?.has(`${right.verb} ${right.subresource} ${where}`);
    return (may(place) || may(namespace)) ?? false;
  }
}
