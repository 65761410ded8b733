import { useEffect } from 'react';
import type { Device } from '../api/types';
import { elapsed, phaseOf, progressOf, type StepView } from '../domain/devices';
import { duration } from '../i18n/format';
import { useLanguage } from '../i18n/language';
import { useAnnounce } from './announcer';
import { Check, Cross } from './icons';
import { hasServerText, ServerText } from './server-text';
import { useNow } from './use-now';

/** How far a start has come: every step with its time, and the reason for the present wait. */
export function ProgressSteps({ device }: { device: Device }) {
  const { language, messages } = useLanguage();
  const announce = useAnnounce();
  const failed = phaseOf(device) === 'Failed';
  const now = useNow(200, !failed);
  const steps = progressOf(device, now);
  const current = steps.find((view) => view.state === 'current')?.step;

  useEffect(() => {
    if (current) announce(messages.environment.announce(messages.environment.step[current]));
  }, [current, announce, messages]);

  return (
    <div className="progress">
      <ol className="steps" aria-label={messages.environment.steps}>
        {steps.map((view) => (
          <Step key={view.step} view={view} device={device} />
        ))}
      </ol>
      {!failed && (
        <p className="elapsed" role="timer">
          {messages.environment.elapsed(duration(elapsed(device, now), language))}
        </p>
      )}
    </div>
  );
}

function Step({ view, device }: { view: StepView; device: Device }) {
  const { language, messages } = useLanguage();
  const { step, stepState } = messages.environment;
  return (
    <li className={`step ${view.state}`} aria-current={view.state === 'current' ? 'step' : undefined}>
      <span className="step-mark">
        {view.state === 'done' && <Check />}
        {view.state === 'failed' && <Cross />}
      </span>
      <div>
        <p className="step-name">
          {step[view.step]} <span className="visually-hidden">({stepState[view.state]})</span>
        </p>
        {view.state === 'current' && device.status && hasServerText(device.status) && (
          <p className="step-reason">
            <ServerText reason={device.status.reason} message={device.status.message} />
          </p>
        )}
        {view.state === 'current' && device.status?.queue?.position !== undefined && (
          <p className="step-reason">{messages.environment.place(device.status.queue.position)}</p>
        )}
      </div>
      {view.seconds !== undefined && <span className="step-time">{duration(view.seconds, language)}</span>}
    </li>
  );
}
