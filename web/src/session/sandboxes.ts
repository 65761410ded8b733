import { useEffect, useMemo, useState } from 'react';
import { isAborted } from '../api/errors';
import { sandboxes } from '../api/resources';
import type { Sandbox } from '../api/types';
import { useLanguage } from '../i18n/language';

/** What environments there are, in the language of the page. They seldom change, so they are read once for each page. */
export function useSandboxes(): { offered: readonly Sandbox[] | undefined; error: unknown } {
  const { language } = useLanguage();
  const [all, setAll] = useState<readonly Sandbox[]>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    const controller = new AbortController();
    sandboxes.all(controller.signal).then(setAll, (failure: unknown) => {
      if (!controller.signal.aborted && !isAborted(failure)) setError(failure);
    });
    return () => controller.abort();
  }, []);
  const offered = useMemo(() => all?.map((sandbox) => inLanguage(sandbox, language)), [all, language]);
  return { offered, error };
}

/** Those that one may choose; the others are found by whoever has one. */
export function choosable(offered: readonly Sandbox[] | undefined): readonly Sandbox[] | undefined {
  return offered?.filter((sandbox) => sandbox.spec.hidden !== true);
}

export function titleOf(name: string | undefined, offered: readonly Sandbox[] | undefined): string {
  const sandbox = offered?.find((each) => each.metadata.name === name);
  return sandbox?.spec.displayTitle ?? name ?? '';
}

/** "zh-CN" finds a text for "zh" too. */
export function textIn(texts: Readonly<Record<string, string>> | undefined, language: string): string | undefined {
  return texts?.[language] ?? texts?.[language.split('-')[0] ?? language];
}

export function inLanguage(sandbox: Sandbox, language: string): Sandbox {
  const { spec } = sandbox;
  const displayTitle = textIn(spec.titles, language) ?? spec.displayTitle;
  const description = textIn(spec.descriptions, language) ?? spec.description;
  return {
    ...sandbox,
    spec: { ...spec, ...(displayTitle !== undefined && { displayTitle }), ...(description !== undefined && { description }) },
  };
}
