import type { Device } from '../../api/types';
import { Button } from '../../components/button';
import { Dialog } from '../../components/dialog';
import { LogView } from '../../components/log-view';
import { PhaseBadge } from '../../components/phase-badge';
import { ServerText } from '../../components/server-text';
import { ownerOf, phaseOf, startSteps } from '../../domain/devices';
import { duration } from '../../i18n/format';
import { useLanguage } from '../../i18n/language';

/** All that is known about an environment, and its log as it grows. */
export function DeviceDialog({ device, onClose }: { device: Device; onClose: () => void }) {
  const { language, messages } = useLanguage();
  const { devices: words, environment, common } = messages;
  const { reason, message, urls, timings, conditions } = device.status ?? {};
  const took = startSteps.flatMap((step) => {
    const seconds = step === 'Running' ? undefined : timings?.[step.toLowerCase() as keyof NonNullable<typeof timings>];
    return seconds === undefined ? [] : [`${environment.step[step]}: ${duration(seconds, language)}`];
  });
  return (
    <Dialog title={words.detailsTitle(ownerOf(device))} onClose={onClose} wide>
      <dl className="facts">
        <div>
          <dt>{words.phase}</dt>
          <dd>
            <PhaseBadge phase={phaseOf(device)} /> <ServerText reason={reason} message={message} />
          </dd>
        </div>
        <div>
          <dt>{words.name}</dt>
          <dd>{device.metadata.name}</dd>
        </div>
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
        {took.length > 0 && (
          <div>
            <dt>{words.timings}</dt>
            <dd>{took.join(' · ')}</dd>
          </div>
        )}
        {conditions !== undefined && conditions.length > 0 && (
          <div>
            <dt>{words.conditions}</dt>
            <dd>
              <ul className="conditions">
                {conditions.map((condition) => (
                  <li key={condition.type}>
                    <strong lang="en">
                      {condition.type}: {condition.status}
                    </strong>{' '}
                    <ServerText reason={condition.reason} message={condition.message} />
                  </li>
                ))}
              </ul>
            </dd>
          </div>
        )}
      </dl>
      <h3>{words.log}</h3>
      <LogView device={device.metadata.name} />
      <div className="dialog-actions">
        <Button onPress={onClose}>{common.close}</Button>
      </div>
    </Dialog>
  );
}
