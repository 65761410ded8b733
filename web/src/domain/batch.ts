import { ApiError } from '../api/errors';

export interface Failure<T> {
  item: T;
  error: unknown;
}

interface BatchOptions<T> {
  /** How many at a time: enough to be quick, few enough to leave the server to others. */
  width?: number;
  done?: (item: T) => void;
  pause?: (milliseconds: number) => Promise<void>;
}

/** A server that asks to wait is believed this often for each item. */
const patience = 10;

/** Does the same to many, a few at a time; what fails is told at the end, and stops nothing else. */
export async function forEachOf<T>(items: readonly T[], act: (item: T) => Promise<unknown>, options: BatchOptions<T> = {}): Promise<Failure<T>[]> {
  const { width = 4, done, pause = sleep } = options;
  const failures: Failure<T>[] = [];
  const rest = [...items];
  const worker = async (): Promise<void> => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) {
      try {
        await withPatience(item, act, pause);
      } catch (error) {
        failures.push({ item, error });
      }
      done?.(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  return failures;
}

async function withPatience<T>(item: T, act: (item: T) => Promise<unknown>, pause: (ms: number) => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await act(item);
      return;
    } catch (error) {
      const wait = error instanceof ApiError && (error.code === 429 || error.code === 503) ? (error.retryAfterSeconds ?? 1) : undefined;
      if (wait === undefined || tries >= patience) throw error;
      await pause(wait * 1000);
    }
  }
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
