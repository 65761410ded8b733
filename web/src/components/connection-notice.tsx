import type { Connection } from '../api/list-watch';
import { useMessages } from '../i18n/language';
import { Button } from './button';
import { useErrorText } from './error-text';
import { Notice } from './notice';
import { useNow } from './use-now';

interface Props {
  connection: Connection;
  retryNow: () => void;
  /** Something is shown that may have changed meanwhile. */
  shown: boolean;
}

/** Says when a live list is not live. */
export function ConnectionNotice({ connection, retryNow, shown }: Props) {
  const { connection: messages, common } = useMessages();
  const errorText = useErrorText();
  if (connection.state === 'ended') {
    const again = <Button onPress={retryNow}>{common.retry}</Button>;
    return (
      <Notice kind="error" title={messages.ended} actions={again}>
        {errorText(connection.error)}
      </Notice>
    );
  }
  if (connection.state !== 'retrying') return null;
  return (
    <Notice kind="warning" title={messages.lost} actions={<Button onPress={retryNow}>{messages.retryNow}</Button>}>
      <Countdown until={connection.retryAt} /> {shown && messages.stale}
    </Notice>
  );
}

/** For the eye alone: a number read out every second helps nobody. */
function Countdown({ until }: { until: number }) {
  const { connection: messages } = useMessages();
  useNow(1000);
  return <span aria-hidden="true">{messages.retryingIn(Math.max(0, Math.ceil((until - Date.now()) / 1000)))}</span>;
}
