import { useCallback, useMemo, useState } from 'react';
import { ConnectionNotice } from '../../components/connection-notice';
import { Plus } from '../../components/icons';
import { Button } from '../../components/button';
import { OpenError } from '../../components/open-error';
import { Page } from '../../components/page';
import { Pick } from '../../components/choice';
import { Search } from '../../components/search';
import { Spinner } from '../../components/spinner';
import { useShownRows, useSorted } from '../../components/table';
import { ownerOf, phaseOf } from '../../domain/devices';
import { useMessages } from '../../i18n/language';
import { Link } from '../../routing/location';
import { useDevices, useUsers } from '../../session/collections';
import { useOpenDevice } from '../../session/device-actions';
import { UserDialogs, type UserTask } from './dialogs';
import { rowsOf, textOf, type UserRow } from './rows';
import { SelectionBar } from './selection-bar';
import { UserTable } from './user-table';

/** All users with their environments, live. */
export default function UsersPage() {
  const { users: messages, roles } = useMessages();
  const users = useUsers();
  const devices = useDevices();
  const { error: openError, open } = useOpenDevice();
  const [search, setSearch] = useState('');
  const [role, setRole] = useState<'' | '1' | '2'>('');
  const [selection, setSelection] = useState<ReadonlySet<string>>(new Set());
  const [task, setTask] = useState<UserTask>();

  const rows = useMemo(() => rowsOf(users.items, devices.items), [users.items, devices.items]);
  const matching = useMemo(() => rows.filter((row) => matches(row, search, role)), [rows, search, role]);
  const text = useCallback(textOf, []);
  const { sorted, sorting, sortBy } = useSorted(matching, text, 'name');
  const { shown, hidden, showMore, step } = useShownRows(sorted);
  const selected = rows.filter((row) => selection.has(row.name));

  const select = (names: readonly string[], on: boolean): void => {
    const next = new Set(selection);
    for (const name of names) {
      if (on) next.add(name);
      else next.delete(name);
    }
    setSelection(next);
  };

  const addLink = (
    <Link to="/users/add" className="button primary">
      <Plus />
      {messages.add}
    </Link>
  );
  return (
    <Page title={messages.title} actions={addLink}>
      <ConnectionNotice connection={users.connection} retryNow={users.retryNow} shown={users.items !== undefined} />
      {users.connection.state === 'live' && <ConnectionNotice connection={devices.connection} retryNow={devices.retryNow} shown={devices.items !== undefined} />}
      {openError !== undefined && <OpenError error={openError} />}
      {!users.items ? (
        users.connection.state === 'loading' && <Spinner />
      ) : (
        <>
          <div className="toolbar">
            <Search label={messages.search} value={search} onChange={setSearch} />
            <Pick
              label={messages.role}
              value={role}
              onChange={setRole}
              options={[
                { value: '', label: messages.allRoles },
                { value: '2', label: roles[2] },
                { value: '1', label: roles[1] },
              ]}
            />
            <p className="count" role="status">
              {messages.shown(matching.length, rows.length)}
            </p>
          </div>
          {selected.length > 0 && <SelectionBar selected={selected} onTask={setTask} onClear={() => setSelection(new Set())} />}
          {matching.length > 0 ? (
            <UserTable rows={shown} allNames={sorted.map((row) => row.name)} selection={selection} select={select} sorting={sorting} sortBy={sortBy} onTask={setTask} onOpen={open} />
          ) : (
            <div className="empty">
              <p>{messages.noMatch}</p>
              <Button
                onPress={() => {
                  setSearch('');
                  setRole('');
                }}
              >
                {messages.clearSearch}
              </Button>
            </div>
          )}
          {hidden > 0 && (
            <div className="centred">
              <Button onPress={showMore}>{messages.more(Math.min(step, hidden))}</Button>
            </div>
          )}
          {rows.length === 1 && (
            <div className="empty">
              <h2>{messages.emptyTitle}</h2>
              <p>{messages.emptyText}</p>
              {addLink}
            </div>
          )}
        </>
      )}
      <UserDialogs task={task} onClose={() => setTask(undefined)} onDeleted={(name) => select([name], false)} />
    </Page>
  );
}

function matches({ user, name, device }: UserRow, search: string, role: string): boolean {
  if (role !== '' && String(user.spec.role ?? 2) !== role) return false;
  const wanted = search.trim().toLowerCase();
  const { chineseName = '', description = '', email = '' } = user.spec;
  const owned = device ? `${ownerOf(device)} ${phaseOf(device)}` : '';
  return wanted === '' || [name, chineseName, description, email, owned].some((text) => text.toLowerCase().includes(wanted));
}
