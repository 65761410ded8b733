import { useState } from 'react';
import { administrator, type Device, type Sandbox } from '../../api/types';
import { Button } from '../../components/button';
import { External } from '../../components/icons';
import { LogView } from '../../components/log-view';
import { Notice } from '../../components/notice';
import { OpenError } from '../../components/open-error';
import { ServerText } from '../../components/server-text';
import { finishedSeconds, fullHomeOf, isUnwell, isWarning, safeModeOf, sandboxOf, warningsOf } from '../../domain/devices';
import { duration, fileSize, moment } from '../../i18n/format';
import { useLanguage } from '../../i18n/language';
import { useOpenDevice } from '../../session/device-actions';
import { titleOf } from '../../session/sandboxes';
import { useSession } from '../../session/session';
import { IdleNotice } from './idle-notice';
import { StopButton } from './stop-button';

export function Running({ device, offered }: { device: Device; offered: readonly Sandbox[] | undefined }) {
  const { messages } = useLanguage();
  const { environment, common } = messages;
  const { opening, error, open } = useOpenDevice();
  const [logShown, setLogShown] = useState(false);
  const { name } = device.metadata;
  const safeMode = safeModeOf(device);
  return (
    <section className="card state-card">
      <h2>
        <span className="live-dot" aria-hidden="true" /> {environment.runningTitle}
      </h2>
      <p className="lead">{environment.runningText}</p>
      {error !== undefined && <OpenError error={error} />}
      {isUnwell(device) && (
        <Notice kind="warning" title={environment.unwellTitle}>
          <ServerText reason={device.status?.reason} message={device.status?.message} />
        </Notice>
      )}
      <IdleNotice device={device} />
      <Warnings device={device} />
      {safeMode && (
        <Notice kind="warning" title={environment.safeModeTitle} live={false}>
          <p>{environment.safeModeText}</p>
          <ServerText reason={safeMode.reason} message={safeMode.message} />
        </Notice>
      )}
      <FullHome device={device} />
      <div className="actions">
        <Button kind="primary" size="large" busy={opening !== undefined} onPress={() => open(name)}>
          {opening === undefined && <External />}
          {opening === undefined ? environment.openName(titleOf(sandboxOf(device), offered)) : environment.opening}
          <span className="visually-hidden"> {common.newTab}</span>
        </Button>
        {device.status?.ports?.slice(1).map(({ name: what, port }) => (
          <Button key={port} onPress={() => open(name, port)}>
            <External /> {environment.openName(what)}
            <span className="visually-hidden"> {common.newTab}</span>
          </Button>
        ))}
        <StopButton device={device} />
        <Button kind="quiet" onPress={() => setLogShown(!logShown)}>
          {logShown ? environment.hideLog : environment.showLog}
        </Button>
      </div>
      <Facts device={device} />
      <Notes device={device} />
      {logShown && <LogView device={name} />}
    </section>
  );
}

/** Limits that it ran into: whoever finds a kernel restarted looks here for the reason. */
function Warnings({ device }: { device: Device }) {
  const { environment } = useLanguage().messages;
  return warningsOf(device).map(({ type, reason, message }) => (
    <Notice key={type} kind="warning" title={environment.limitTitle}>
      <ServerText reason={reason} message={message} />
    </Notice>
  ));
}

/** The owner alone can do something about it. */
function FullHome({ device }: { device: Device }) {
  const { environment } = useLanguage().messages;
  const full = fullHomeOf(device);
  if (!full) return null;
  return (
    <Notice kind="warning" title={environment.fullHomeTitle}>
      <ServerText reason={full.reason} message={full.message} />
    </Notice>
  );
}

function Facts({ device }: { device: Device }) {
  const { language, messages } = useLanguage();
  const { environment } = messages;
  const { startedAt, lastActivity, urls, storage } = device.status ?? {};
  const took = finishedSeconds(device);
  return (
    <dl className="facts">
      {startedAt !== undefined && (
        <div>
          <dt>{environment.since}</dt>
          <dd>
            {moment(startedAt, language)}
            {took > 0 && <span className="hint"> · {environment.startedIn(duration(took, language))}</span>}
          </dd>
        </div>
      )}
      {lastActivity !== undefined && (
        <div>
          <dt>{environment.lastActivity}</dt>
          <dd>{moment(lastActivity, language)}</dd>
        </div>
      )}
      {storage?.usedBytes !== undefined && (
        <div>
          <dt>{environment.files}</dt>
          <dd>{environment.taken(fileSize(storage.usedBytes), storage.quotaBytes ? fileSize(storage.quotaBytes) : undefined)}</dd>
        </div>
      )}
      {urls?.[0] !== undefined && (
        <div>
          <dt>{environment.address}</dt>
          {urls.map((url) => (
            <dd key={url}>
              <code>{url}</code>
            </dd>
          ))}
        </div>
      )}
    </dl>
  );
}

/** What the engine cannot do as asked, a limit that it cannot enforce say: for those who can do something about it. */
function Notes({ device }: { device: Device }) {
  const { environment } = useLanguage().messages;
  const { role } = useSession();
  const notes = device.status?.conditions?.filter(
    (each) => each.type !== 'Ready' && each.type !== 'InUse' && each.type !== 'HomeHasRoom' && !isWarning(each) && each.status === 'False' && each.message,
  );
  if (role !== administrator) return null;
  if (!notes?.length) return null;
  return (
    <Notice kind="info" title={environment.notes} live={false}>
      <ul>
        {notes.map(({ type, reason, message }) => (
          <li key={type}>
            <ServerText reason={reason} message={message} />
          </li>
        ))}
      </ul>
    </Notice>
  );
}
