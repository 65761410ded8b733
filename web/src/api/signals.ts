/** A signal that aborts with the first of several (`AbortSignal.any` is missing in browsers and in Node that we support). */
export function firstOf(...signals: AbortSignal[]): AbortSignal {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  for (const signal of signals) {
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true, signal: controller.signal });
  }
  return controller.signal;
}
