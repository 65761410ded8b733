import { useState } from 'react';
import type { Device } from '../../api/types';
import { Button } from '../../components/button';
import { LogView } from '../../components/log-view';
import { ProgressSteps } from '../../components/progress-steps';
import { hasServerText, ServerText } from '../../components/server-text';
import { Spinner } from '../../components/spinner';
import { phaseOf } from '../../domain/devices';
import { useMessages } from '../../i18n/language';
import { StopButton } from './stop-button';

export function Starting({ device }: { device: Device }) {
  const { environment } = useMessages();
  const [logShown, setLogShown] = useState(false);
  return (
    <section className="card state-card">
      <h2>{environment.starting}</h2>
      <ProgressSteps device={device} />
      <div className="actions">
        <StopButton device={device} label={environment.cancelStart} />
        {phaseOf(device) === 'Starting' && (
          <Button kind="quiet" onPress={() => setLogShown(!logShown)}>
            {logShown ? environment.hideLog : environment.showLog}
          </Button>
        )}
      </div>
      {logShown && <LogView device={device.metadata.name} />}
    </section>
  );
}

export function Stopping({ device }: { device: Device }) {
  const { environment } = useMessages();
  const { status } = device;
  return (
    <section className="card state-card" role="status">
      <h2>
        <Spinner /> {environment.stoppingTitle}
      </h2>
      <p className="lead">{environment.stoppingText}</p>
      {(status?.phase === 'Stopping' || status?.phase === 'Stopped') && hasServerText(status) && (
        <p className="hint">
          <ServerText reason={status.reason} message={status.message} />
        </p>
      )}
    </section>
  );
}

/** Between the end of a failed environment and the beginning of the next. */
export function Restarting() {
  const { environment } = useMessages();
  return (
    <section className="card state-card" role="status">
      <h2>
        <Spinner /> {environment.starting}
      </h2>
      <p className="lead">{environment.restarting}</p>
    </section>
  );
}
