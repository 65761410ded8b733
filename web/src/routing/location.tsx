import { createContext, useContext, useEffect, useMemo, useState, type MouseEvent, type ReactNode } from 'react';

/** Where the browser is, and how to go elsewhere: the History API in a few lines. */
interface Place {
  path: string;
  query: URLSearchParams;
  /** Counts navigations inside the dashboard; 0 is the page that the browser loaded. */
  visit: number;
  go: (to: string, options?: { replace?: boolean }) => void;
}

const Context = createContext<Place | undefined>(undefined);

export function usePlace(): Place {
  const place = useContext(Context);
  if (!place) throw new Error('no PlaceProvider');
  return place;
}

export function PlaceProvider({ children }: { children: ReactNode }) {
  const [{ path, search, visit }, setPlace] = useState(() => ({ ...here(), visit: 0 }));

  useEffect(() => {
    const moved = (): void => setPlace((before) => ({ ...here(), visit: before.visit + 1 }));
    window.addEventListener('popstate', moved);
    return () => window.removeEventListener('popstate', moved);
  }, []);

  const place = useMemo<Place>(
    () => ({
      path,
      query: new URLSearchParams(search),
      visit,
      go(to, options) {
        if (options?.replace) history.replaceState(null, '', to);
        else history.pushState(null, '', to);
        window.scrollTo(0, 0);
        setPlace((before) => ({ ...here(), visit: before.visit + 1 }));
      },
    }),
    [path, search, visit],
  );
  return <Context value={place}>{children}</Context>;
}

function here(): { path: string; search: string } {
  const { pathname, search } = window.location;
  return { path: pathname.length > 1 ? pathname.replace(/\/+$/, '') : pathname, search };
}

interface LinkProps {
  to: string;
  className?: string;
  current?: boolean;
  children: ReactNode;
}

/** A link to another page of the dashboard. Modified clicks stay the browser's own. */
export function Link({ to, className, current, children }: LinkProps) {
  const { go } = usePlace();
  const clicked = (event: MouseEvent): void => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return (
    <a href={to} className={className} aria-current={current ? 'page' : undefined} onClick={clicked}>
      {children}
    </a>
  );
}
