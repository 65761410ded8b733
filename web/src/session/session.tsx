import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from 'react';
import { createBackoff, pause } from '../api/backoff';
import { ApiError, isAborted } from '../api/errors';
import { provideCredentials } from '../api/http';
import { administrator, type Session } from '../api/types';
import { logOut as endSession, readSession } from './calls';
import { forgetSessionKey, onSessionKeyChange, sessionKey } from './key';

export interface SessionState {
  /** Undefined until the server has said who is here. */
  session: Session | undefined;
  /** Why it has not said so yet. */
  problem: unknown;
  /** The session ended by itself, so the login says why it is there. */
  expired: boolean;
  entered: (session: Session) => void;
  logOut: () => Promise<void>;
}

const Context = createContext<SessionState | undefined>(undefined);

export function useSessionState(): SessionState {
  const state = useContext(Context);
  if (!state) throw new Error('no SessionProvider');
  return state;
}

/** Undefined: nobody. Where the server asks for no login, everybody is an administrator. */
export function whoIsHere(session: Session | undefined): Session | undefined {
  if (session?.authDisabled) return { ...session, role: administrator };
  return session?.authenticated ? session : undefined;
}

/** The session of somebody who is logged in: for pages behind the login. */
export function useSession(): Session {
  const present = whoIsHere(useSessionState().session);
  if (!present) throw new Error('no session');
  return present;
}

const nobody = { authenticated: false, setupRequired: false, authDisabled: false };

export function SessionProvider({ children }: { children: ReactNode }) {
  const [session, setSession] = useState<Session>();
  const [problem, setProblem] = useState<unknown>();
  const [expired, setExpired] = useState(false);
  const [asked, setAsked] = useState(0);

  // First, so that the first request already carries the key.
  useEffect(() => {
    provideCredentials({
      key: sessionKey,
      ended() {
        forgetSessionKey();
        setExpired(true);
        setSession((before) => ({ ...nobody, ...(before && { authDisabled: before.authDisabled }) }));
        setAsked((count) => count + 1);
      },
    });
  }, []);

  useEffect(() => {
    const controller = new AbortController();
    void askUntilAnswered(controller.signal, setSession, setProblem);
    return () => controller.abort();
  }, [asked]);

  useEffect(() => onSessionKeyChange(() => setAsked((count) => count + 1)), []);

  const entered = useCallback((next: Session) => {
    setExpired(false);
    setSession(next);
  }, []);

  const logOut = useCallback(async () => {
    await endSession();
    setSession(nobody);
  }, []);

  const state = useMemo(
    () => ({ session, problem, expired, entered, logOut }),
    [session, problem, expired, entered, logOut],
  );
  return <Context value={state}>{children}</Context>;
}

/** Asks who is here; while the server is away, again and again. */
async function askUntilAnswered(
  signal: AbortSignal,
  answered: (session: Session) => void,
  failed: (error: unknown) => void,
): Promise<void> {
  const backoff = createBackoff(500, 10_000);
  while (!signal.aborted) {
    try {
      const session = await readSession(signal);
      failed(undefined);
      answered(session);
      return;
    } catch (error) {
      if (isAborted(error)) return;
      failed(error);
      const asked = error instanceof ApiError ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
      await pause(Math.max(backoff.next(), asked), signal);
    }
  }
}
