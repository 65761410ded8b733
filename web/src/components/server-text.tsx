import { useLanguage } from '../i18n/language';

interface Props {
  reason?: string | undefined;
  message?: string | undefined;
}

/** The reason that the server gives: in the reader's language where it is a known one, and in the server's own words. */
export function ServerText({ reason, message }: Props) {
  const { language, messages } = useLanguage();
  const known = (messages.reasons as Record<string, string | undefined>)[reason ?? ''];
  const own = message ?? reason;
  if (own === undefined) return null;
  if (language === 'en') return <>{message ?? known ?? reason}</>;
  if (known === undefined) return <span lang="en">{own}</span>;
  return (
    <>
      {known}
      {message !== undefined && (
        <span lang="en" className="server-words">
          {message}
        </span>
      )}
    </>
  );
}
