import { useState } from 'react';
import type { Device } from '../../api/types';
import { Button } from '../../components/button';
import { LogView } from '../../components/log-view';
import { ProgressSteps } from '../../components/progress-steps';
import { Notice } from '../../components/notice';
import { ServerText } from '../../components/server-text';
import { useMessages } from '../../i18n/language';
import { StopButton } from './stop-button';

/** What went wrong, the last that was heard, and the way to try again. */
export function Failed({ device, onRetry }: { device: Device; onRetry: (safeMode: boolean) => void }) {
  const { environment } = useMessages();
  const [logShown, setLogShown] = useState(false);
  const { reason, message, log } = device.status ?? {};
  return (
    <section className="card state-card">
      <h2>{environment.failedTitle}</h2>
      <Notice kind="error" title={environment.reason}>
        <ServerText reason={reason} message={message} />
      </Notice>
      <ProgressSteps device={device} />
      {!logShown && log && log.length > 0 && (
        <>
          <h3>{environment.lastLines}</h3>
          <pre className="log-lines short" tabIndex={0} role="log" aria-label={environment.lastLines} aria-live="off">
            {log.join('\n')}
          </pre>
        </>
      )}
      {logShown && <LogView device={device.metadata.name} />}
      <div className="actions">
        <Button kind="primary" size="large" onPress={() => onRetry(false)}>
          {environment.retry}
        </Button>
        <Button onPress={() => onRetry(true)}>{environment.startSafely}</Button>
        <StopButton device={device} label={environment.remove} />
        <Button kind="quiet" onPress={() => setLogShown(!logShown)}>
          {logShown ? environment.hideLog : environment.showLog}
        </Button>
      </div>
    </section>
  );
}
