import { withMoments } from '../i18n/format';
import { useLanguage } from '../i18n/language';

interface Props {
  reason?: string | undefined;
  message?: string | undefined;
}

/** Reasons whose translation says all that the server's own words say. */
const complete = new Set(['Queued', 'Preparing', 'Starting', 'Deleted', 'PortsExhausted', 'RunnerAbsent']);

/** The reason that the server gives: in the reader's language where it is a known one, and in the server's own words. */
export function ServerText({ reason = '', message: said = '' }: Props) {
  const { language, messages } = useLanguage();
  const message = withMoments(said, language);
  const known = (messages.reasons as Record<string, string | undefined>)[reason];
  if (language === 'en') return <>{known !== undefined && (message === '' || complete.has(reason)) ? known : message || reason}</>;
  if (known === undefined) return <span lang="en">{message || reason}</span>;
  return (
    <>
      {known}
      {message !== '' && !complete.has(reason) && (
        <span lang="en" className="server-words">
          {message}
        </span>
      )}
    </>
  );
}

/** Whether there is anything to say. */
export function hasServerText({ reason = '', message = '' }: Props): boolean {
  return reason !== '' || message !== '';
}
