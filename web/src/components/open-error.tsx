import { EnvironmentUnreachable } from '../api/errors';
import { useMessages } from '../i18n/language';
import { PopupBlocked } from '../session/device-actions';
import { useErrorText } from './error-text';
import { Notice } from './notice';

/** Why an environment did not open. */
export function OpenError({ error }: { error: unknown }) {
  const { environment } = useMessages();
  const errorText = useErrorText();
  if (error instanceof PopupBlocked) return <Notice kind="error">{environment.popup}</Notice>;
  if (error instanceof EnvironmentUnreachable) return <Unreachable origin={error.origin} />;
  return <Notice kind="error">{errorText(error)}</Notice>;
}

/**
 * Firefox and Safari ask about a certificate that they do not know for each port anew, and never from within a page. Opened by
 * itself the address asks; from there the way leads back here and in again.
 */
function Unreachable({ origin }: { origin: string }) {
  const { errors, common } = useMessages();
  const link = (
    <a className="button" href={`${origin}/`} target="_blank" rel="noreferrer">
      {errors.openAddress} <span className="visually-hidden">{common.newTab}</span>
    </a>
  );
  return (
    <Notice kind="error" actions={link}>
      {errors.environmentUnreachable(origin)} {origin.startsWith('https:') && errors.environmentCertificate}
    </Notice>
  );
}
