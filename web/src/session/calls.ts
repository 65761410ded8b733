import { ApiError } from '../api/errors';
import { send, sendForJson } from '../api/http';
import type { Session } from '../api/types';
import { forgetSessionKey, keepSessionKey } from './key';

export function readSession(signal?: AbortSignal): Promise<Session> {
  return sendForJson<Session>('/auth/session', { signal });
}

export function logIn(username: string, password: string): Promise<Session> {
  return begin('/auth/login', { username, password });
}

export function setUp(body: { code: string; username: string; password: string; chineseName?: string }): Promise<Session> {
  return begin('/auth/setup', body);
}

export function changePassword(currentPassword: string, newPassword: string): Promise<Session> {
  return begin('/auth/password', { currentPassword, newPassword });
}

export async function logOut(): Promise<void> {
  await send('/auth/logout', { method: 'POST', mayBeUnauthorized: true });
  forgetSessionKey();
}

/** The browser has not kept the session's cookie. Safari takes a Secure one over HTTPS alone, even from the loopback address. */
export class CookieRefused extends Error {}

async function begin(path: string, body: object): Promise<Session> {
  const session = await sendForJson<Session>(path, { method: 'POST', body, mayBeUnauthorized: true });
  keepSessionKey(session.key);
  if (await isUnknown()) {
    forgetSessionKey();
    throw new CookieRefused();
  }
  return session;
}

/** Whether the server, asked once more, knows nobody; where it does not answer this is not said. */
async function isUnknown(): Promise<boolean> {
  try {
    const { authenticated } = await sendForJson<Session>('/auth/session', { mayBeUnauthorized: true });
    return !authenticated;
  } catch (error) {
    return error instanceof ApiError && error.code === 401;
  }
}
