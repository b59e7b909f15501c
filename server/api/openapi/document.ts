// What the routes take, as an OpenAPI document: made of the schemas that check them. Pure.
import { z } from 'zod';
import { errorKinds } from '../../../common/errors.ts';
import { mediaTypes } from '../../contract.ts';
import { type Operation, routes } from './routes.ts';

export function openApiDocument(): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'refmodel',
      version: '1',
      description:
        'Scores of frozen models for reinforcement learning. A body in binary has the fields of the JSON body: ' +
        'tensors for lists, metadata or parameters for the others.',
    },
    paths: Object.fromEntries(
      Object.entries(routes).map(([path, operations]) => [
        path,
        Object.fromEntries(
          Object.entries(operations).map(([method, one]) => [method, operation(method, path, one)]),
        ),
      ]),
    ),
    components: { schemas: { Error: errorSchema() } },
  };
}

function operation(
  method: string,
  path: string,
  { summary, request, types = [mediaTypes.json] }: Operation,
): object {
  const content = (schema: object) =>
    Object.fromEntries(types.map((type) => [type, typed(type, schema)]));
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  return {
    operationId: `${method}_${path.replace(/\W+/g, '_').replace(/^_|_$/g, '')}`,
    summary,
    ...(names.length > 0 && {
      parameters: names.map((name) => {
        return { name, in: 'path', required: true, schema: text };
      }),
    }),
    ...(request && { requestBody: { required: true, content: content(requestSchema(request)) } }),
    responses: {
      200: { description: 'The answer.', content: content({}) },
      ...Object.fromEntries(statuses.map((status) => [status, errorAnswer(status)])),
    },
  };
}

function typed(type: string, schema: object): object {
  if (type === mediaTypes.json) return { schema };
  return { schema: type.startsWith('text/') ? text : { ...text, format: 'binary' } };
}

const text = { type: 'string' } as const;

/** Token ids and the like are checked by hand: a custom schema says in its meta what JSON has there. */
export function requestSchema(request: z.ZodType): object {
  const { $schema: _, ...schema } = z.toJSONSchema(request, {
    target: 'draft-2020-12',
    io: 'input',
    reused: 'inline',
    unrepresentable: 'any',
  });
  return schema;
}

const statuses = [
  ...new Set(Object.values(errorKinds).map(({ status }) => String(status))),
].toSorted((a, b) => a.localeCompare(b));

function errorAnswer(status: string): object {
  const codes = Object.entries(errorKinds).flatMap(([code, kind]) =>
    String(kind.status) === status ? [code] : [],
  );
  return {
    description: codes.join(', '),
    content: { [mediaTypes.json]: { schema: { $ref: '#/components/schemas/Error' } } },
  };
}

/** Under /v2 the error itself is a text, and the code stands beside it. */
function errorSchema(): object {
  const codes = { enum: Object.keys(errorKinds) };
  const properties = { code: codes, message: text, type: text, request_id: text };
  const error = { type: 'object', required: ['code', 'message', 'type'], properties };
  return {
    type: 'object',
    required: ['error'],
    properties: { error: { anyOf: [error, text] }, code: codes },
  };
}
