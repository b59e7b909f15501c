// A thread that knows the texts of one model, and answers until nobody asks any more.
import { parentPort } from 'node:worker_threads';
import { toAppError } from '../../common/errors.ts';
import type { TextAnswer, TextCall, TextCalls, TextMethod, TextMethods } from './protocol.ts';
import { TextModel } from './text-model.ts';

let model: Promise<TextModel> | undefined;

parentPort?.on('message', (call: TextCall) => {
  void answer(call).then((message) => parentPort?.postMessage(message, []));
});

async function answer({ id, folder, method, params }: TextCall): Promise<TextAnswer> {
  try {
    model ??= TextModel.open(folder);
    return { id, result: perform(await model, method, params) };
  } catch (err: unknown) {
    const { code, message } = toAppError(err);
    return { id, error: { code, message } };
  }
}

/** Generic, so that TypeScript sees that the params belong to the method. */
function perform<M extends TextMethod>(
  methods: TextMethods,
  method: M,
  params: TextCalls[M]['params'],
): TextCalls[M]['result'] {
  return methods[method](params);
}
