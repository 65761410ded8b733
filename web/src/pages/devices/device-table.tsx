import type { Device } from '../../api/types';
import { More } from '../../components/icons';
import { Menu, type MenuAction } from '../../components/menu';
import { PhaseBadge } from '../../components/phase-badge';
import { ServerText } from '../../components/server-text';
import { SortHead, type Sorting } from '../../components/table';
import { useNow } from '../../components/use-now';
import { elapsed, isUnwell, ownerOf, phaseOf } from '../../domain/devices';
import { duration, moment } from '../../i18n/format';
import { useLanguage, useMessages } from '../../i18n/language';

export type DeviceColumn = 'owner' | 'sandbox' | 'phase' | 'since';

interface Acts {
  onOpen: (device: Device) => void;
  onStop: (device: Device) => void;
  onRestart: (device: Device) => void;
  onDetails: (device: Device) => void;
}

interface Props extends Acts {
  rows: readonly Device[];
  title: (device: Device) => string;
  sorting: Sorting<DeviceColumn>;
  sortBy: (key: DeviceColumn) => void;
}

export function DeviceTable({ rows, title, sorting, sortBy, ...acts }: Props) {
  const { title: label, columns } = useMessages().devices;
  return (
    <table className="table" role="table" aria-label={label}>
      <thead role="rowgroup">
        <tr role="row">
          <SortHead by="owner" sorting={sorting} sortBy={sortBy}>
            {columns.owner}
          </SortHead>
          <SortHead by="sandbox" sorting={sorting} sortBy={sortBy}>
            {columns.sandbox}
          </SortHead>
          <SortHead by="phase" sorting={sorting} sortBy={sortBy}>
            {columns.phase}
          </SortHead>
          <SortHead by="since" sorting={sorting} sortBy={sortBy}>
            {columns.since}
          </SortHead>
          <th scope="col" role="columnheader">
            {columns.address}
          </th>
          <th scope="col" role="columnheader" className="actions-cell">
            <span className="visually-hidden">{columns.actions}</span>
          </th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((device) => (
          <Row key={device.metadata.name} device={device} title={title(device)} acts={acts} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ device, title, acts }: { device: Device; title: string; acts: Acts }) {
  const { users, devices } = useMessages();
  const { columns } = devices;
  const owner = ownerOf(device);
  return (
    <tr role="row">
      <th scope="row" role="rowheader" data-label={columns.owner}>
        {owner}
      </th>
      <td role="cell" data-label={columns.sandbox}>
        {title}
      </td>
      <td role="cell" data-label={columns.phase}>
        <State device={device} />
      </td>
      <td role="cell" data-label={columns.since}>
        <Since device={device} />
      </td>
      <td role="cell" data-label={columns.address}>
        {device.status?.urls?.[0] !== undefined && <code>{device.status.urls[0]}</code>}
      </td>
      <td role="cell" className="actions-cell">
        <Menu label={users.actionsFor(owner)} actions={useActions(device, acts)}>
          <More />
        </Menu>
      </td>
    </tr>
  );
}

function State({ device }: { device: Device }) {
  const phase = phaseOf(device);
  const { reason, message } = device.status ?? {};
  return (
    <>
      <PhaseBadge phase={phase} />
      {(isUnwell(device) || (phase !== 'Running' && phase !== 'Stopping')) && (
        <span className="hint state-reason">
          <ServerText reason={reason} message={message} />
        </span>
      )}
    </>
  );
}

/** When it became what it is; for what is starting, how long that has taken. */
function Since({ device }: { device: Device }) {
  const { language } = useLanguage();
  const phase = phaseOf(device);
  const moving = phase === 'Queued' || phase === 'Preparing' || phase === 'Starting';
  const now = useNow(1000, moving);
  if (moving) return <>{duration(elapsed(device, now), language)}</>;
  const since = device.status?.startedAt ?? device.metadata.creationTimestamp;
  return since ? <>{moment(since, language)}</> : null;
}

function useActions(device: Device, { onOpen, onStop, onRestart, onDetails }: Acts): MenuAction[] {
  const { devices: words } = useMessages();
  const phase = phaseOf(device);
  const actions: MenuAction[] = [];
  if (phase === 'Running') actions.push({ id: 'open', label: words.open, act: () => onOpen(device) });
  actions.push({ id: 'details', label: words.details, act: () => onDetails(device) });
  if (phase === 'Failed') actions.push({ id: 'restart', label: words.restart, act: () => onRestart(device) });
  if (phase !== 'Stopping') actions.push({ id: 'stop', label: words.stop, apart: true, danger: true, act: () => onStop(device) });
  return actions;
}
