/** A browser that keeps no cookie of the environment would be sent to and fro for ever. */
const storageKey = 'open-hydra.opened';
const straightBack = 8000;

export function noteVisit(origin: string): void {
  sessionStorage.setItem(storageKey, JSON.stringify({ origin, at: Date.now() }));
}

export function forgetVisit(): void {
  sessionStorage.removeItem(storageKey);
}

export function cameStraightBack(origin: string): boolean {
  const visit = JSON.parse(sessionStorage.getItem(storageKey) ?? 'null') as { origin: string; at: number } | null;
  return visit?.origin === origin && Date.now() - visit.at < straightBack;
}
