import { ApiError, ConnectionError } from '../api/errors';
import { useMessages } from '../i18n/language';
import type { Messages } from '../i18n/messages';
import { CookieRefused } from '../session/calls';
import { TookTooLong } from '../session/collections';

/** What to tell about an error: the server's own message where it has one, for it knows best. */
export function useErrorText(): (error: unknown) => string {
  const messages = useMessages();
  return (error) => errorText(error, messages);
}

function errorText(error: unknown, { errors }: Messages): string {
  if (error instanceof ConnectionError) return errors.network;
  if (error instanceof TookTooLong) return errors.tookTooLong;
  if (error instanceof CookieRefused) return window.location.protocol === 'https:' ? errors.cookieRefused : errors.cookieRefusedOverHttp;
  if (!(error instanceof ApiError)) return errors.unexpected;
  if (error.code === 429) return errors.tooMany(error.retryAfterSeconds);
  if (error.code === 401) return errors.unauthorized;
  if (error.message !== '') return error.message;
  return error.code === 403 ? errors.forbidden : errors.server(error.code);
}

/** The messages of an error by the last part of the field that each is about: `spec.password` → `password`. */
export function problemsByField(error: unknown): Record<string, string> {
  const problems: Record<string, string> = {};
  if (!(error instanceof ApiError)) return problems;
  for (const { field, message } of error.causes) {
    const name = field?.split('.').at(-1);
    if (name && message) problems[name] ??= message;
  }
  return problems;
}
