import { useRef, useState, type SyntheticEvent, type RefObject } from 'react';
import { problemsByField } from './error-text';

export interface FormState<Name extends string> {
  form: RefObject<HTMLFormElement | null>;
  busy: boolean;
  /** What went wrong with the last try; what is about a field is in `problems` too. */
  error: unknown;
  problems: Partial<Record<Name, string>>;
  submit: (event: SyntheticEvent) => void;
}

interface FormRules<Name extends string> {
  /** Problems found before anything is sent. */
  check: () => Partial<Record<Name, string>>;
  send: () => Promise<void>;
}

/** A form that is checked, sent once at a time, and puts the focus on the first field with a problem. */
export function useForm<Name extends string>({ check, send }: FormRules<Name>): FormState<Name> {
  const form = useRef<HTMLFormElement>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const [problems, setProblems] = useState<Partial<Record<Name, string>>>({});

  const show = (found: Partial<Record<Name, string>>): void => {
    setProblems(found);
    // After the fields have been marked.
    setTimeout(() => form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus(), 0);
  };

  const run = async (): Promise<void> => {
    const found = check();
    setError(undefined);
    show(found);
    if (Object.keys(found).length > 0) return;
    setBusy(true);
    try {
      await send();
    } catch (failure) {
      setError(failure);
      show(problemsByField(failure) as Partial<Record<Name, string>>);
    } finally {
      setBusy(false);
    }
  };

  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    if (!busy) void run();
  };
  return { form, busy, error, problems, submit };
}

/** Only what is a text: problems left out where there is none. */
export function onlyProblems<Name extends string>(found: Record<Name, string | undefined>): Partial<Record<Name, string>> {
  return Object.fromEntries(Object.entries(found).filter(([, text]) => text !== undefined)) as Partial<Record<Name, string>>;
}
