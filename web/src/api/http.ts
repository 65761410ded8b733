import { noteServerDate } from './clock';
import { ConnectionError, errorOf, isAborted } from './errors';

const keyHeader = 'X-Open-Hydra-Session-Key';

export interface RequestOptions {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  body?: unknown;
  signal?: AbortSignal | undefined;
  /** A 401 to this request says nothing about the session (a wrong password, say). */
  mayBeUnauthorized?: boolean;
}

/** What the session keeps for every request: its key, and what to do when it has ended. */
export interface Credentials {
  key: () => string | null;
  ended: () => void;
}

let credentials: Credentials = { key: () => null, ended: () => undefined };

export function provideCredentials(given: Credentials): void {
  credentials = given;
}

/** Sends a request on the dashboard's own origin; what is not 2xx is thrown as an `ApiError`. */
export async function send(path: string, options: RequestOptions = {}): Promise<Response> {
  const method = options.method ?? 'GET';
  const headers = new Headers({ Accept: 'application/json' });
  const key = credentials.key();
  if (key !== null) headers.set(keyHeader, key);
  const init: RequestInit = { method, headers, credentials: 'same-origin', cache: 'no-store', redirect: 'error' };
  if (options.signal) init.signal = options.signal;
  if (options.body !== undefined) {
    headers.set('Content-Type', method === 'PATCH' ? 'application/merge-patch+json' : 'application/json');
    init.body = JSON.stringify(options.body);
  }
  const response = await connect(path, init);
  noteServerDate(response.headers.get('Date'));
  if (response.ok) return response;
  if (response.status === 401 && options.mayBeUnauthorized !== true) credentials.ended();
  throw await errorOf(response);
}

export async function sendForJson<T>(path: string, options?: RequestOptions): Promise<T> {
  const response = await send(path, options);
  return (await response.json()) as T;
}

async function connect(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init);
  } catch (error) {
    if (isAborted(error)) throw error;
    throw new ConnectionError('', { cause: error });
  }
}
