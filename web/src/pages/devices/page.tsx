import { useCallback, useMemo, useState } from 'react';
import type { Device, Phase } from '../../api/types';
import { Button } from '../../components/button';
import { Pick } from '../../components/choice';
import { ConnectionNotice } from '../../components/connection-notice';
import { useErrorText } from '../../components/error-text';
import { Notice } from '../../components/notice';
import { OpenError } from '../../components/open-error';
import { Page } from '../../components/page';
import { Search } from '../../components/search';
import { Spinner } from '../../components/spinner';
import { useShownRows, useSorted } from '../../components/table';
import { ownerOf, phaseOf, sandboxOf } from '../../domain/devices';
import { useMessages } from '../../i18n/language';
import { useDevices } from '../../session/collections';
import { restartDevice, useOpenDevice } from '../../session/device-actions';
import { titleOf, useSandboxes } from '../../session/sandboxes';
import { StopDialog } from '../users/dialogs';
import { DeviceDialog } from './device-dialog';
import { DeviceTable, type DeviceColumn } from './device-table';

const phases: readonly Phase[] = ['Running', 'Queued', 'Preparing', 'Starting', 'Stopping', 'Failed'];

/** Every environment there is, live. */
export default function DevicesPage() {
  const messages = useMessages();
  const { devices: words, phases: phaseNames, users: userWords } = messages;
  const live = useDevices();
  const { offered } = useSandboxes();
  const errorText = useErrorText();
  const { error: openError, open } = useOpenDevice();
  const [search, setSearch] = useState('');
  const [phase, setPhase] = useState<Phase | ''>('');
  const [stopping, setStopping] = useState<readonly Device[]>();
  const [detailed, setDetailed] = useState<string>();
  const [restartError, setRestartError] = useState<unknown>();

  const all = useMemo(() => [...(live.items?.values() ?? [])], [live.items]);
  const matching = useMemo(() => all.filter((device) => matches(device, search, phase)), [all, search, phase]);
  const text = useCallback((device: Device, column: DeviceColumn) => textOf(device, column), []);
  const { sorted, sorting, sortBy } = useSorted(matching, text, 'owner');
  const { shown, hidden, showMore, step } = useShownRows(sorted);
  const stoppable = matching.filter((device) => phaseOf(device) !== 'Stopping');
  const detailedDevice = detailed === undefined ? undefined : live.items?.get(detailed);

  const restart = (device: Device): void => {
    setRestartError(undefined);
    restartDevice(device, live).catch(setRestartError);
  };

  const stopAll = stoppable.length > 0 && <Button onPress={() => setStopping(stoppable)}>{words.stopAll(stoppable.length)}</Button>;
  return (
    <Page title={words.title} lead={all.length > 0 && <Summary devices={all} />} actions={stopAll}>
      <ConnectionNotice connection={live.connection} retryNow={live.retryNow} shown={live.items !== undefined} />
      {openError !== undefined && <OpenError error={openError} />}
      {restartError !== undefined && <Notice kind="error">{errorText(restartError)}</Notice>}
      {!live.items && live.connection.state === 'loading' && <Spinner />}
      {live.items && all.length === 0 && (
        <div className="empty">
          <h2>{words.emptyTitle}</h2>
          <p>{words.emptyText}</p>
        </div>
      )}
      {all.length > 0 && (
        <>
          <div className="toolbar">
            <Search label={words.search} value={search} onChange={setSearch} />
            <Pick
              label={words.phase}
              value={phase}
              onChange={setPhase}
              options={[{ value: '', label: words.allPhases }, ...phases.map((value) => ({ value, label: phaseNames[value] }))]}
            />
            <p className="count" role="status">
              {words.shown(matching.length, all.length)}
            </p>
          </div>
          {matching.length === 0 ? (
            <p className="empty">{words.noMatch}</p>
          ) : (
            <DeviceTable
              rows={shown}
              title={(device) => titleOf(sandboxOf(device), offered)}
              sorting={sorting}
              sortBy={sortBy}
              onOpen={(device) => open(device.metadata.name)}
              onStop={(device) => setStopping([device])}
              onRestart={restart}
              onDetails={(device) => setDetailed(device.metadata.name)}
            />
          )}
          {hidden > 0 && (
            <div className="centred">
              <Button onPress={showMore}>{userWords.more(Math.min(step, hidden))}</Button>
            </div>
          )}
        </>
      )}
      {stopping && <StopDialog devices={stopping} onClose={() => setStopping(undefined)} />}
      {detailedDevice && <DeviceDialog device={detailedDevice} onClose={() => setDetailed(undefined)} />}
    </Page>
  );
}

function Summary({ devices }: { devices: readonly Device[] }) {
  const { devices: words } = useMessages();
  const count = (...wanted: Phase[]): number => devices.filter((device) => wanted.some((phase) => phase === phaseOf(device))).length;
  const parts = [words.running(count('Running'))];
  const starting = count('Queued', 'Preparing', 'Starting');
  const failed = count('Failed');
  if (starting > 0) parts.push(words.startingCount(starting));
  if (failed > 0) parts.push(words.failedCount(failed));
  return <>{parts.join(' · ')}</>;
}

function matches(device: Device, search: string, phase: Phase | ''): boolean {
  if (phase !== '' && phaseOf(device) !== phase) return false;
  const wanted = search.trim().toLowerCase();
  return wanted === '' || [ownerOf(device), device.metadata.name].some((text) => text.toLowerCase().includes(wanted));
}

function textOf(device: Device, column: DeviceColumn): string {
  switch (column) {
    case 'owner':
      return ownerOf(device);
    case 'sandbox':
      return sandboxOf(device) ?? '';
    case 'phase':
      return phaseOf(device);
    case 'since':
      return device.metadata.creationTimestamp ?? '';
  }
}
