import { useEffect, useMemo, useState, type ReactNode } from 'react';
import { deviceAt, enter, portAt } from '../../api/open';
import type { Device } from '../../api/types';
import { Button } from '../../components/button';
import { ConnectionNotice } from '../../components/connection-notice';
import { Notice } from '../../components/notice';
import { OpenError } from '../../components/open-error';
import { Page } from '../../components/page';
import { ProgressSteps } from '../../components/progress-steps';
import { ServerText } from '../../components/server-text';
import { Spinner } from '../../components/spinner';
import { ownerOf, phaseOf } from '../../domain/devices';
import { useMessages } from '../../i18n/language';
import { Link, usePlace } from '../../routing/location';
import { useDevices } from '../../session/collections';
import { useSession } from '../../session/session';
import { cameStraightBack, forgetVisit, noteVisit } from './loop';

/**
 * Where an environment's address leads when the browser has no cookie of it: here it gets one, and goes back there. Only an address
 * that belongs to a device in this user's own list is ever gone to.
 */
export default function OpenPage() {
  const { open } = useMessages();
  const { query } = usePlace();
  const to = query.get('to');
  const address = useMemo(() => addressOf(to), [to]);
  return (
    <Page title={open.title} width="narrow">
      {address ? <Opening address={address} /> : <Refused text={open.badAddress} />}
    </Page>
  );
}

function addressOf(to: string | null): URL | undefined {
  try {
    const url = new URL(to ?? '');
    return url.protocol === 'http:' || url.protocol === 'https:' ? url : undefined;
  } catch {
    return undefined;
  }
}

function Opening({ address }: { address: URL }) {
  const { open } = useMessages();
  const live = useDevices();
  const device = live.items && deviceAt(address, live.items.values());
  const found = (): ReactNode => {
    if (!live.items) return <Waiting text={open.lead} />;
    return device ? <Found device={device} address={address} /> : <Refused text={open.notYours} />;
  };
  return (
    <>
      <ConnectionNotice connection={live.connection} retryNow={live.retryNow} shown={live.items !== undefined} />
      {found()}
    </>
  );
}

function Found({ device, address }: { device: Device; address: URL }) {
  const { open, environment } = useMessages();
  const { username } = useSession();
  const phase = phaseOf(device);
  const own = username !== undefined && ownerOf(device) === username;
  if (phase === 'Running') return own ? <Enter device={device} address={address} /> : <Ask device={device} address={address} />;
  if (phase === 'Failed') return <Refused text={environment.failedTitle} device={device} />;
  if (phase === 'Stopping') return <Refused text={open.stopping} />;
  return (
    <section className="card state-card">
      <p className="lead">{open.waiting}</p>
      <ProgressSteps device={device} />
    </section>
  );
}

/** A double click that began on another page ends before this. */
const pause = 600;

/**
 * Another's page could have sent this browser here: what an address does in somebody's environment, it does with this user's rights.
 * So it is opened by a click alone. One's own can do nothing to oneself that it could not do before.
 */
function Ask({ device, address }: { device: Device; address: URL }) {
  const { open } = useMessages();
  const [asked, setAsked] = useState(false);
  const [since] = useState(() => Date.now());
  if (asked) return <Enter device={device} address={address} />;
  return (
    <section className="card state-card">
      <h2>{open.askTitle(ownerOf(device))}</h2>
      <p>{open.askText}</p>
      <p className="hint">
        <code>{address.pathname + address.search}</code>
      </p>
      <div className="actions">
        <Button kind="primary" onPress={() => setAsked(Date.now() - since > pause)}>
          {open.askYes}
        </Button>
        <Link to="/" className="button">
          {open.toMine}
        </Link>
      </div>
    </section>
  );
}

function Enter({ device, address }: { device: Device; address: URL }) {
  const { open, common } = useMessages();
  const { name } = device.metadata;
  const port = portAt(address, device);
  const [looping, setLooping] = useState(() => cameStraightBack(address.origin));
  const [error, setError] = useState<unknown>();
  const waiting = !looping && error === undefined;

  useEffect(() => {
    if (!waiting) return;
    let left = false;
    enter(name, port).then(
      (origin) => {
        if (left) return;
        noteVisit(address.origin);
        // Put together, not resolved: a path that begins with two slashes must not name another host.
        window.location.replace(origin + address.pathname + address.search + address.hash);
      },
      (failure: unknown) => {
        if (!left) setError(failure);
      },
    );
    return () => {
      left = true;
    };
  }, [waiting, name, port, address]);

  if (waiting) return <Waiting text={open.lead} />;
  const again = (): void => {
    forgetVisit();
    setLooping(false);
    setError(undefined);
  };
  return (
    <>
      {looping ? <Notice kind="error">{open.loop}</Notice> : <OpenError error={error} />}
      <div className="actions">
        <Button kind="primary" onPress={again}>
          {common.retry}
        </Button>
        <Link to="/" className="button">
          {open.toMine}
        </Link>
      </div>
    </>
  );
}

function Waiting({ text }: { text: string }) {
  return (
    <p className="page-loading" role="status">
      <Spinner /> {text}
    </p>
  );
}

function Refused({ text, device }: { text: string; device?: Device }) {
  const { open } = useMessages();
  return (
    <>
      <Notice kind="warning" title={text}>
        {device && <ServerText reason={device.status?.reason} message={device.status?.message} />}
      </Notice>
      <Link to="/" className="button primary">
        {open.toMine}
      </Link>
    </>
  );
}
