import { useState, type ReactNode } from 'react';
import { Confirm } from './components/dialog';
import { Brand, Person } from './components/icons';
import { LanguageSwitch } from './components/language-switch';
import { Menu } from './components/menu';
import { Notice } from './components/notice';
import { Button } from './components/button';
import { useMessages } from './i18n/language';
import { administrator, type Session } from './api/types';
import { Link, usePlace } from './routing/location';
import { useNewUsers } from './session/new-users';
import { useSessionState } from './session/session';

/** What is around every page: the way to its content, the navigation, the language, the account. */
export function Shell({ session, children }: { session: Session | undefined; children: ReactNode }) {
  const { shell } = useMessages();
  return (
    <>
      <a className="skip-link" href="#content">
        {shell.skip}
      </a>
      <header className="site-head">
        <div className="site-head-inner">
          <Link to="/" className="brand">
            <Brand />
            <span>open-hydra</span>
          </Link>
          {session && <Navigation session={session} />}
          <div className="site-tools">
            <LanguageSwitch />
            {session && <Account session={session} />}
          </div>
        </div>
      </header>
      <main id="content" tabIndex={-1}>
        {session?.wellKnownPassword && <WellKnownPassword />}
        {session && <UntakenPasswords />}
        {children}
      </main>
      <footer className="site-foot">{shell.footer}</footer>
    </>
  );
}

function Navigation({ session }: { session: Session }) {
  const { shell } = useMessages();
  const { path } = usePlace();
  const pages = [
    ...(session.username === undefined ? [] : [{ to: '/', label: shell.myEnvironment }]),
    ...(session.role === administrator
      ? [
          { to: '/users', label: shell.users },
          { to: '/environments', label: shell.environments },
        ]
      : []),
  ];
  if (pages.length < 2) return null;
  return (
    <nav className="site-nav" aria-label={shell.navigation}>
      {pages.map(({ to, label }) => (
        <Link key={to} to={to} current={to === '/' ? path === '/' : path.startsWith(to)}>
          {label}
        </Link>
      ))}
    </nav>
  );
}

function Account({ session }: { session: Session }) {
  const { shell, add } = useMessages();
  const { go } = usePlace();
  const { logOut } = useSessionState();
  const { untaken, forget } = useNewUsers();
  const [asking, setAsking] = useState(false);
  const leave = async (): Promise<void> => {
    await logOut();
    forget();
  };
  if (session.authDisabled) return <span className="account-note">{shell.noLogin}</span>;
  const name = session.chineseName ?? session.username ?? '';
  return (
    <>
      <Menu
        className="button quiet account"
        label={`${shell.account}: ${name}`}
        actions={[
          { id: 'password', label: shell.changePassword, act: () => go('/password') },
          { id: 'logout', label: shell.logOut, act: () => (untaken ? setAsking(true) : void leave()), apart: true },
        ]}
      >
        <Person />
        <span className="account-name">{name}</span>
      </Menu>
      {asking && <Confirm title={add.leaveTitle} text={add.leaveText} action={shell.logOut} onClose={() => setAsking(false)} onConfirm={leave} />}
    </>
  );
}

/** On every page but their own: the passwords of new users, which are nowhere else. */
function UntakenPasswords() {
  const { add } = useMessages();
  const { path, go } = usePlace();
  const { created, untaken } = useNewUsers();
  if (!untaken || path === '/users/add') return null;
  return (
    <Notice
      kind="warning"
      title={add.untaken(created.length)}
      actions={
        <Button kind="primary" onPress={() => go('/users/add')}>
          {add.showUntaken}
        </Button>
      }
    >
      {add.untakenText}
    </Notice>
  );
}

function WellKnownPassword() {
  const { shell, common } = useMessages();
  const { path, go } = usePlace();
  const [postponed, setPostponed] = useState(false);
  if (postponed || path === '/password') return null;
  const actions = (
    <>
      <Button kind="primary" onPress={() => go('/password')}>
        {shell.changePassword}
      </Button>
      <Button kind="quiet" onPress={() => setPostponed(true)}>
        {common.notNow}
      </Button>
    </>
  );
  return (
    <Notice kind="warning" title={shell.wellKnownTitle} actions={actions}>
      {shell.wellKnownText}
    </Notice>
  );
}
