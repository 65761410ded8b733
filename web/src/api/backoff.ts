export interface Backoff {
  /** The next pause in milliseconds; each is longer than the one before, up to a limit. */
  next(): number;
  reset(): void;
}

/** Doubles from `first` up to `longest`, and varies by a fifth so that a class does not come back all at once. */
export function createBackoff(first = 500, longest = 30_000, random: () => number = Math.random): Backoff {
  let step = 0;
  return {
    next() {
      const plain = Math.min(first * 2 ** step, longest);
      step += 1;
      return Math.round(plain * (0.8 + 0.4 * random()));
    },
    reset() {
      step = 0;
    },
  };
}

/** Waits, or stops waiting when the signal says so. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
