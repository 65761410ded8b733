import { useEffect, useRef, useState } from 'react';
import { useAnnounce } from '../../components/announcer';
import { ConnectionNotice } from '../../components/connection-notice';
import { useErrorText } from '../../components/error-text';
import { Notice } from '../../components/notice';
import { Page } from '../../components/page';
import { Spinner } from '../../components/spinner';
import { ownerOf, phaseOf } from '../../domain/devices';
import { useLanguage, useMessages } from '../../i18n/language';
import { useDevices } from '../../session/collections';
import { restartDevice } from '../../session/device-actions';
import { choosable, useSandboxes } from '../../session/sandboxes';
import { useSession } from '../../session/session';
import { Courses } from './courses';
import { Failed } from './failed';
import { Running } from './running';
import { Restarting, Starting, Stopping } from './moving';
import { Stopped } from './stopped';

/** What a student sees first: the one environment, in whatever state it is, with what can be done about it. */
export function EnvironmentPage() {
  const { language, messages } = useLanguage();
  const { common, environment } = messages;
  const { username = '' } = useSession();
  const live = useDevices();
  const { offered, error: sandboxError } = useSandboxes();
  const errorText = useErrorText();
  const [restarting, setRestarting] = useState(false);
  const [restartError, setRestartError] = useState<unknown>();

  const device = [...(live.items?.values() ?? [])].find((each) => ownerOf(each) === username);
  const phase = phaseOf(device);
  useReadyAnnouncement(phase);

  const restart = async (safeMode: boolean): Promise<void> => {
    if (!device) return;
    setRestarting(true);
    setRestartError(undefined);
    try {
      await restartDevice(device, live, { language, safeMode: safeMode || undefined });
    } catch (failure) {
      setRestartError(failure);
    } finally {
      setRestarting(false);
    }
  };

  const body = (): React.ReactNode => {
    if (!live.items) return <Loading text={common.loading} />;
    if (restarting && (!device || phase === 'Failed' || phase === 'Stopping')) return <Restarting />;
    if (!device) return <Stopped owner={username} offered={choosable(offered)} />;
    if (phase === 'Running') return <Running device={device} offered={offered} />;
    if (phase === 'Failed') return <Failed device={device} onRetry={(safeMode) => void restart(safeMode)} />;
    if (phase === 'Stopping') return <Stopping device={device} />;
    return <Starting device={device} />;
  };

  return (
    <Page title={environment.title} width="narrow">
      <ConnectionNotice connection={live.connection} retryNow={live.retryNow} shown={live.items !== undefined} />
      {sandboxError !== undefined && <Notice kind="error">{errorText(sandboxError)}</Notice>}
      {restartError !== undefined && <Notice kind="error">{errorText(restartError)}</Notice>}
      {body()}
      {device && phase === 'Running' && <Courses device={device.metadata.name} />}
    </Page>
  );
}

function Loading({ text }: { text: string }) {
  return (
    <p className="page-loading" role="status">
      <Spinner /> {text}
    </p>
  );
}

/** Says that it is ready to somebody who has waited for it, not to somebody who finds it running. */
function useReadyAnnouncement(phase: ReturnType<typeof phaseOf>): void {
  const { environment } = useMessages();
  const announce = useAnnounce();
  const before = useRef(phase);
  useEffect(() => {
    if (phase === 'Running' && before.current === 'Starting') announce(environment.ready);
    before.current = phase;
  }, [phase, announce, environment]);
}
