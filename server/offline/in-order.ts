// Work on a stream of items, several at a time, with results in the order of the items.

/** Rejects with what the first item in order that fails rejects with. Takes a next item only while fewer than `width` run. */
export async function* inOrder<T, R>(
  items: AsyncIterable<T>,
  width: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const running: Promise<R>[] = [];
  for await (const item of items) {
    const result = work(item);
    result.catch(() => {}); // its turn to be awaited comes
    running.push(result);
    if (running.length < width) continue;
    const first = running.shift();
    if (first) yield await first;
  }
  for (const result of running) yield await result;
}
