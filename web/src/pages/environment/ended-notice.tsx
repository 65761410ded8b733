import { useEffect, useState } from 'react';
import { users } from '../../api/resources';
import type { User } from '../../api/types';
import { Notice } from '../../components/notice';
import { ServerText } from '../../components/server-text';
import { moment } from '../../i18n/format';
import { useLanguage } from '../../i18n/language';

/** Why the last environment is not there any more, where it was not its owner who ended it. */
export function EndedNotice({ owner }: { owner: string }) {
  const { language, messages } = useLanguage();
  const [user, setUser] = useState<User>();

  useEffect(() => {
    const controller = new AbortController();
    // Without it there is nothing to say; the page itself tells of a server that is away.
    users.get(owner, controller.signal).then(setUser, () => undefined);
    return () => controller.abort();
  }, [owner]);

  const { reason, message, endedAt } = user?.status?.lastEnvironment ?? {};
  if (reason === undefined || endedAt === undefined) return null;
  return (
    <Notice kind="info" title={messages.environment.endedTitle(moment(endedAt, language))}>
      <ServerText reason={reason} message={message} />
    </Notice>
  );
}
