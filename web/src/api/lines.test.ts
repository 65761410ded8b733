import { expect, it } from 'vitest';
import { lineBatches } from './lines';

async function read(...pieces: (string | Uint8Array)[]): Promise<string[][]> {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(typeof piece === 'string' ? encoder.encode(piece) : piece);
      controller.close();
    },
  });
  const batches: string[][] = [];
  for await (const batch of lineBatches(body)) batches.push(batch);
  return batches;
}

it('puts lines together across pieces', async () => {
  expect(await read('{"a":', '1}\n{"b":2}\n{"c"', ':3}\n')).toEqual([['{"a":1}', '{"b":2}'], ['{"c":3}']]);
});

it('keeps empty lines, takes \\r\\n, and yields a last line without an end', async () => {
  expect(await read('a\r\n\n', 'b')).toEqual([['a', ''], ['b']]);
});

it('does not break a character in two', async () => {
  const bytes = new TextEncoder().encode('环境\n');
  expect(await read(bytes.slice(0, 4), bytes.slice(4))).toEqual([['环境']]);
});
