/**
 * The session's key: kept in localStorage, which another port of the same host cannot reach (a cookie it can), and sent with every
 * request. The cookie alone is nobody.
 */
const storageKey = 'open-hydra.session-key';

export function sessionKey(): string | null {
  return localStorage.getItem(storageKey);
}

export function keepSessionKey(key: string | undefined): void {
  if (key !== undefined) localStorage.setItem(storageKey, key);
}

export function forgetSessionKey(): void {
  localStorage.removeItem(storageKey);
}

/** Tells when another tab logs in or out. */
export function onSessionKeyChange(listener: () => void): () => void {
  const heard = (event: StorageEvent): void => {
    if (event.key === storageKey || event.key === null) listener();
  };
  window.addEventListener('storage', heard);
  return () => window.removeEventListener('storage', heard);
}
