import { useEffect, useState } from 'react';
import { isAborted } from '../api/errors';
import { sandboxes } from '../api/resources';
import type { Sandbox } from '../api/types';

/** What environments are offered. They seldom change, so they are read once for each page. */
export function useSandboxes(): { offered: readonly Sandbox[] | undefined; error: unknown } {
  const [offered, setOffered] = useState<readonly Sandbox[]>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    const controller = new AbortController();
    sandboxes.all(controller.signal).then(setOffered, (failure: unknown) => {
      if (!controller.signal.aborted && !isAborted(failure)) setError(failure);
    });
    return () => controller.abort();
  }, []);
  return { offered, error };
}

export function titleOf(name: string | undefined, offered: readonly Sandbox[] | undefined): string {
  const sandbox = offered?.find((each) => each.metadata.name === name);
  return sandbox?.spec.displayTitle ?? name ?? '';
}
