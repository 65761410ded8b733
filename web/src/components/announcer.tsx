import { createContext, useCallback, useContext, useState, type ReactNode } from 'react';

const Context = createContext<(text: string) => void>(() => undefined);

/** Says something to those who do not see the page change. */
export function useAnnounce(): (text: string) => void {
  return useContext(Context);
}

export function Announcer({ children }: { children: ReactNode }) {
  const [text, setText] = useState('');
  const announce = useCallback((next: string) => {
    // The same text twice is read twice only if it has changed in between.
    setText('');
    setTimeout(() => setText(next), 50);
  }, []);
  return (
    <Context value={announce}>
      {children}
      <div className="visually-hidden" role="status" aria-live="polite">
        {text}
      </div>
    </Context>
  );
}
