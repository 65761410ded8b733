import { useEffect, useRef, useState } from 'react';
import { isAborted } from '../api/errors';
import { followLog } from '../api/resources';
import { useMessages } from '../i18n/language';
import { useErrorText } from './error-text';
import { Notice } from './notice';

/** Older lines than these are let go, or a chatty program fills the browser's memory. */
const mostLines = 5000;

/** The whole log as it grows. It stays at the end until somebody scrolls up. */
export function LogView({ device }: { device: string }) {
  const { log: messages } = useMessages();
  const errorText = useErrorText();
  const [lines, setLines] = useState<string[]>([]);
  const [state, setState] = useState<'live' | 'ended'>('live');
  const [error, setError] = useState<unknown>();
  const box = useRef<HTMLPreElement>(null);
  const atEnd = useRef(true);

  useEffect(() => {
    const controller = new AbortController();
    const follow = async (): Promise<void> => {
      try {
        for await (const batch of followLog(device, controller.signal)) {
          setLines((before) => [...before, ...batch].slice(-mostLines));
        }
        setState('ended');
      } catch (failure) {
        if (!controller.signal.aborted && !isAborted(failure)) setError(failure);
      }
    };
    void follow();
    return () => controller.abort();
  }, [device]);

  useEffect(() => {
    if (atEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines]);

  const scrolled = (): void => {
    const { scrollTop, scrollHeight, clientHeight } = box.current ?? { scrollTop: 0, scrollHeight: 0, clientHeight: 0 };
    atEnd.current = scrollHeight - scrollTop - clientHeight < 8;
  };

  return (
    <div className="log">
      {error !== undefined && (
        <Notice kind="error" title={messages.failed}>
          {errorText(error)}
        </Notice>
      )}
      <pre ref={box} className="log-lines" tabIndex={0} role="log" aria-label={messages.title(device)} aria-live="off" onScroll={scrolled}>
        {lines.length === 0 ? messages.empty : lines.join('\n')}
      </pre>
      <p className="hint">{state === 'live' && error === undefined ? <span className="live-dot">{messages.live}</span> : messages.ended}</p>
    </div>
  );
}
