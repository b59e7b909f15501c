// What is measured of requests: how many, how long, how many tokens.
import type { Metrics } from '../../common/metrics.ts';

export function requestMetrics(metrics: Metrics) {
  const requests = metrics.counter(
    'requests_total',
    'Requests answered, by route and status code. Code 499: the client left.',
    ['route', 'code'],
  );
  const duration = metrics.histogram(
    'request_duration_seconds',
    'Time from a request to its answer, loads included.',
    { labelNames: ['route'] },
  );
  const errors = metrics.counter(
    'errors_total',
    'Requests answered with an error, by its code (docs/errors.md).',
    ['error'],
  );
  const prompts = metrics.counter('prompt_tokens_total', 'Tokens of scored requests.');
  const scores = metrics.counter('scored_tokens_total', 'Tokens whose log-prob was computed.');
  return {
    onRequest: (route: string, code: number, seconds: number): void => {
      requests.inc({ route, code });
      duration.observe({ route }, seconds);
    },
    onError: (error: string): void => errors.inc({ error }),
    onScored: (promptTokens: number, scoredTokens: number): void => {
      prompts.inc(promptTokens);
      scores.inc(scoredTokens);
    },
  };
}
