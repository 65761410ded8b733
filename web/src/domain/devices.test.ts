import { describe, expect, it } from 'vitest';
import type { Device } from '../api/types';
import { fullHomeOf, idleSoon, isUnwell, phaseOf, progressOf, safeModeOf, warningsOf } from './devices';

const created = '2026-01-01T08:00:00Z';
const device = (status: NonNullable<Device['status']>): Device => ({
  metadata: { name: 'a', creationTimestamp: created },
  spec: {},
  status,
});
const now = Date.parse(created) + 10_000;

describe('the progress of a start', () => {
  it('shows what is done, what goes on and for how long', () => {
    const steps = progressOf(device({ phase: 'Starting', timings: { queued: 0.5, preparing: 2 } }), now);
    expect(steps.map((step) => [step.state, step.seconds])).toEqual([
      ['done', 0.5],
      ['done', 2],
      ['current', 7.5],
      ['waiting', undefined],
    ]);
  });

  it('shows where it failed', () => {
    const steps = progressOf(device({ phase: 'Failed', timings: { queued: 0.5 } }), now);
    expect(steps.map((step) => step.state)).toEqual(['done', 'failed', 'waiting', 'waiting']);
  });

  it('is all done when it runs', () => {
    expect(progressOf(device({ phase: 'Running' }), now).every((step) => step.state === 'done')).toBe(true);
  });
});

describe('the phase', () => {
  it('is «stopping» from the moment of deletion', () => {
    const going = { ...device({ phase: 'Running' }), metadata: { name: 'a', deletionTimestamp: created } };
    expect(phaseOf(going)).toBe('Stopping');
    expect(phaseOf(undefined)).toBe('None');
    expect(phaseOf({ metadata: { name: 'a' }, spec: {} })).toBe('Queued');
  });
});

describe('an environment that runs', () => {
  const withReady = (phase: NonNullable<Device['status']>['phase'], status: 'True' | 'False') =>
    device({ ...(phase && { phase }), conditions: [{ type: 'EngineAvailable', status: 'False' }, { type: 'Ready', status }] });

  it('is unwell where it is not ready', () => {
    expect(isUnwell(withReady('Running', 'False'))).toBe(true);
    expect(isUnwell(withReady('Running', 'True'))).toBe(false);
  });

  it('is in safe mode where its condition says so', () => {
    const condition = { type: 'SafeMode', status: 'True' as const, reason: 'HomeFull' };
    expect(safeModeOf(device({ phase: 'Running', conditions: [condition] }))).toBe(condition);
    expect(safeModeOf(withReady('Running', 'True'))).toBeUndefined();
  });

  it('is not unwell while it starts, or where nothing is known', () => {
    expect(isUnwell(withReady('Starting', 'False'))).toBe(false);
    expect(isUnwell(device({ phase: 'Running' }))).toBe(false);
  });
});

describe('an environment that nobody uses', () => {
  const conditions = (status: 'True' | 'False') => [{ type: 'IdleSoon', status, message: 'at noon' }];
  it('says so as long as it runs', () => {
    expect(idleSoon(device({ phase: 'Running', conditions: conditions('True') }))?.message).toBe('at noon');
    expect(idleSoon(device({ phase: 'Running', conditions: conditions('False') }))).toBeUndefined();
    expect(idleSoon(device({ phase: 'Stopping', conditions: conditions('True') }))).toBeUndefined();
    expect(idleSoon(device({ phase: 'Running' }))).toBeUndefined();
  });
});

describe('what an environment lacked', () => {
  it('is said while it holds', () => {
    const conditions = [
      { type: 'OutOfMemory', status: 'True' as const },
      { type: 'OutOfProcesses', status: 'False' as const },
      { type: 'UserNamespace', status: 'True' as const },
    ];
    expect(warningsOf(device({ phase: 'Running', conditions })).map(({ type }) => type)).toEqual(['OutOfMemory']);
    expect(warningsOf(device({ phase: 'Running' }))).toEqual([]);
  });
});

describe('a home', () => {
  const withRoom = (status: 'True' | 'False') => device({ phase: 'Running', conditions: [{ type: 'HomeHasRoom', status, reason: 'HomeNearlyFull' }] });

  it('is full where it has no room', () => {
    expect(fullHomeOf(withRoom('False'))?.reason).toBe('HomeNearlyFull');
    expect(fullHomeOf(withRoom('True'))).toBeUndefined();
    expect(fullHomeOf(device({ phase: 'Running' }))).toBeUndefined();
  });
});
