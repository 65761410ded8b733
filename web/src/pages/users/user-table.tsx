import { More } from '../../components/icons';
import { Menu, type MenuAction } from '../../components/menu';
import { PhaseBadge } from '../../components/phase-badge';
import { SortHead, type Sorting } from '../../components/table';
import { phaseOf } from '../../domain/devices';
import { useMessages } from '../../i18n/language';
import { useSession } from '../../session/session';
import type { UserTask } from './dialogs';
import type { UserColumn, UserRow } from './rows';

interface Props {
  rows: readonly UserRow[];
  /** Those who match but are not drawn yet count too. */
  allNames: readonly string[];
  selection: ReadonlySet<string>;
  select: (names: readonly string[], on: boolean) => void;
  sorting: Sorting<UserColumn>;
  sortBy: (key: UserColumn) => void;
  onTask: (task: UserTask) => void;
  onOpen: (device: string) => void;
}

export function UserTable({ rows, allNames, selection, select, sorting, sortBy, onTask, onOpen }: Props) {
  const { users: messages } = useMessages();
  const { columns } = messages;
  const all = allNames.every((name) => selection.has(name));
  const some = allNames.some((name) => selection.has(name));
  return (
    <table className="table" role="table" aria-label={messages.title}>
      <thead role="rowgroup">
        <tr role="row">
          <th scope="col" role="columnheader" className="select-cell">
            <input
              type="checkbox"
              aria-label={messages.selectAll}
              checked={all}
              ref={(box) => {
                if (box) box.indeterminate = some && !all;
              }}
              onChange={() => select(allNames, !all)}
            />
          </th>
          <SortHead by="name" sorting={sorting} sortBy={sortBy}>
            {columns.name}
          </SortHead>
          <SortHead by="displayName" sorting={sorting} sortBy={sortBy}>
            {columns.displayName}
          </SortHead>
          <SortHead by="role" sorting={sorting} sortBy={sortBy}>
            {columns.role}
          </SortHead>
          <SortHead by="environment" sorting={sorting} sortBy={sortBy}>
            {columns.environment}
          </SortHead>
          <th scope="col" role="columnheader" className="actions-cell">
            <span className="visually-hidden">{columns.actions}</span>
          </th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <Row key={row.name} row={row} selected={selection.has(row.name)} select={(on) => select([row.name], on)} onTask={onTask} onOpen={onOpen} />
        ))}
      </tbody>
    </table>
  );
}

interface RowProps {
  row: UserRow;
  selected: boolean;
  select: (on: boolean) => void;
  onTask: (task: UserTask) => void;
  onOpen: (device: string) => void;
}

function Row({ row, selected, select, onTask, onOpen }: RowProps) {
  const { users: messages, roles } = useMessages();
  const { username } = useSession();
  const { name, user, device } = row;
  const { columns } = messages;
  return (
    <tr role="row" className={selected ? 'selected' : undefined}>
      <td role="cell" className="select-cell">
        <input type="checkbox" aria-label={messages.select(name)} checked={selected} onChange={() => select(!selected)} />
      </td>
      <th scope="row" role="rowheader" data-label={columns.name}>
        {name} {name === username && <span className="tag">{messages.you}</span>}
        {user.metadata.deletionTimestamp && <span className="tag">{messages.leaving}</span>}
      </th>
      <td role="cell" data-label={columns.displayName}>
        {user.spec.chineseName}
      </td>
      <td role="cell" data-label={columns.role}>
        {roles[user.spec.role ?? 2]}
      </td>
      <td role="cell" data-label={columns.environment}>
        <PhaseBadge phase={phaseOf(device)} />
      </td>
      <td role="cell" className="actions-cell">
        <Menu label={messages.actionsFor(name)} actions={useActions(row, onTask, onOpen)}>
          <More />
        </Menu>
      </td>
    </tr>
  );
}

function useActions(row: UserRow, onTask: (task: UserTask) => void, onOpen: (device: string) => void): MenuAction[] {
  const { users: messages } = useMessages();
  const { username } = useSession();
  const { name, user, device } = row;
  const phase = phaseOf(device);
  const actions: MenuAction[] = [];
  if (!device) actions.push({ id: 'start', label: messages.start, act: () => onTask({ kind: 'start', owners: [name] }) });
  if (device && phase === 'Running') actions.push({ id: 'open', label: messages.open, act: () => onOpen(device.metadata.name) });
  if (device && phase !== 'Stopping') {
    actions.push({ id: 'stop', label: messages.stop, act: () => onTask({ kind: 'stop', devices: [device] }) });
  }
  actions.push({ id: 'edit', label: messages.edit, apart: actions.length > 0, act: () => onTask({ kind: 'edit', user }) });
  if (name !== username) {
    actions.push({ id: 'reset', label: messages.resetPassword, act: () => onTask({ kind: 'reset', user }) });
    actions.push({ id: 'delete', label: messages.delete, apart: true, danger: true, act: () => onTask({ kind: 'delete', user }) });
  }
  return actions;
}
