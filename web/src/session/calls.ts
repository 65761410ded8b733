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

async function begin(path: string, body: object): Promise<Session> {
  const session = await sendForJson<Session>(path, { method: 'POST', body, mayBeUnauthorized: true });
  keepSessionKey(session.key);
  return session;
}
