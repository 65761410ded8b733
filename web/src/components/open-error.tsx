import { ConnectionError } from '../api/errors';
import { useMessages } from '../i18n/language';
import { PopupBlocked } from '../session/device-actions';
import { useErrorText } from './error-text';
import { Notice } from './notice';

/** Why an environment did not open. */
export function OpenError({ error }: { error: unknown }) {
  const { environment, errors } = useMessages();
  const errorText = useErrorText();
  if (error instanceof PopupBlocked) return <Notice kind="error">{environment.popup}</Notice>;
  if (error instanceof ConnectionError) return <Notice kind="error">{errors.environmentUnreachable}</Notice>;
  return <Notice kind="error">{errorText(error)}</Notice>;
}
