import { Suspense, useEffect } from 'react';
import { administrator, type Session } from './api/types';
import { CrashGuard } from './components/crash-guard';
import { Page } from './components/page';
import { Spinner } from './components/spinner';
import { useMessages } from './i18n/language';
import { Forbidden, NotFound } from './pages/errors';
import { LoginPage } from './pages/login/page';
import { routeOf, type Route } from './routing/routes';
import { usePlace } from './routing/location';
import { CollectionsProvider } from './session/collections';
import { useSessionState, whoIsHere } from './session/session';
import { Shell } from './shell';

/** Which page is shown: a matter of the address, and of who is here. */
export function App() {
  const { session } = useSessionState();
  const { path } = usePlace();
  const route = routeOf(path);
  const present = whoIsHere(session);
  return (
    <Shell session={present}>
      <CrashGuard key={path}>
        <Suspense fallback={<Loading />}>
          {route?.access === 'anyone' ? <route.page /> : <Guarded session={session} present={present} route={route} />}
        </Suspense>
      </CrashGuard>
    </Shell>
  );
}

interface GuardedProps {
  session: Session | undefined;
  present: Session | undefined;
  route: Route | undefined;
}

function Guarded({ session, present, route }: GuardedProps) {
  const { path } = usePlace();
  if (!session) return <WaitingForServer />;
  if (!present) return <LoginPage />;
  if (path === '/login') return <Elsewhere to="/" />;
  if (path === '/' && present.username === undefined) return <Elsewhere to="/users" />;
  if (!route) return <NotFound />;
  if (route.access === 'administrator' && present.role !== administrator) return <Forbidden />;
  return (
    <CollectionsProvider key={present.username}>
      <route.page />
    </CollectionsProvider>
  );
}

function Elsewhere({ to }: { to: string }) {
  const { go } = usePlace();
  useEffect(() => go(to, { replace: true }), [go, to]);
  return null;
}

function WaitingForServer() {
  const { problem } = useSessionState();
  const { common, connection } = useMessages();
  return problem === undefined ? (
    <Loading />
  ) : (
    <Page title={common.loading} width="narrow">
      <p role="status">{connection.waitingForServer}</p>
    </Page>
  );
}

function Loading() {
  const { common } = useMessages();
  return (
    <p className="page-loading" role="status">
      <Spinner /> {common.loading}
    </p>
  );
}
