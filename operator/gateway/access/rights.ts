// What a request needs the right to do: a verb on a subresource of the model, as a Role names it. Pure.

/** Scoring is one right; what changes how long models stay warm, for everybody, are others. */
export interface Right {
  subresource: 'score' | 'cache' | 'lease';
  verb: 'create' | 'get' | 'update' | 'delete';
}

export const scoring: Right = { subresource: 'score', verb: 'create' };

const verbs: Readonly<Record<string, Right['verb']>> = {
  GET: 'get',
  HEAD: 'get',
  DELETE: 'delete',
};

export const leaseRight = (method: string): Right => ({
  subresource: 'lease',
  verb: verbs[method] ?? 'update',
});

/** Of a request about one model, or with the path `/cache` about those of its pool. */
export function rightOf(method: string, path: string): Right {
  if (!/^\/cache(\/|$)/.test(path)) return scoring;
  return { subresource: 'cache', verb: verbs[method] ?? 'update' };
}

/** `/cache` alone is about every model of the pool. */
export const isPoolWide = (path: string): boolean => /^\/cache\/?$/.test(path);
