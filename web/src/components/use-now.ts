import { useEffect, useState } from 'react';
import { serverNow } from '../api/clock';

/** The present moment by the server's clock, again and again while it is needed. */
export function useNow(every: number, needed = true): number {
  const [now, setNow] = useState(serverNow);
  useEffect(() => {
    if (!needed) return;
    const tick = (): void => setNow(serverNow());
    tick();
    const timer = setInterval(tick, every);
    return () => clearInterval(timer);
  }, [every, needed]);
  return now;
}
