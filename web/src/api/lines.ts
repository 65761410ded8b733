/** The lines of a text that arrives in pieces. Yields every piece's whole lines together; the rest waits for the next. */
export async function* lineBatches(body: ReadableStream<Uint8Array>): AsyncGenerator<string[]> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      const lines = rest.split('\n');
      rest = done ? '' : (lines.pop() ?? '');
      const whole = lines.map((line) => line.replace(/\r$/, '')).filter((line, index) => !done || line !== '' || index < lines.length - 1);
      if (whole.length > 0) yield whole;
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
