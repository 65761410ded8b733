import type { Condition, Device, Phase } from '../api/types';

/** What a user sees as the state of an environment; one that is being deleted is stopping, whatever its status still says. */
export function phaseOf(device: Device | undefined): Phase | 'None' {
  if (!device) return 'None';
  if (device.metadata.deletionTimestamp) return 'Stopping';
  return device.status?.phase ?? 'Queued';
}

/** It runs, and does not answer as it should: its status says why. */
export function isUnwell(device: Device): boolean {
  return phaseOf(device) === 'Running' && (device.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'False');
}

/** Nobody uses it, and it is ended soon: what its status says of that. */
export function idleSoon(device: Device): Condition | undefined {
  if (phaseOf(device) !== 'Running') return undefined;
  return device.status?.conditions?.find(({ type, status }) => type === 'IdleSoon' && status === 'True');
}

/** What its owner is told while it holds, though it runs and answers. */
const warnings = new Set(['OutOfMemory', 'OutOfProcesses', 'OutOfSpace']);

export function isWarning({ type }: Condition): boolean {
  return warnings.has(type);
}

export function warningsOf(device: Device): Condition[] {
  return (device.status?.conditions ?? []).filter((each) => isWarning(each) && each.status === 'True');
}

/** It was started without what its home configures: the condition that says why. */
export function safeModeOf(device: Device): Condition | undefined {
  return device.status?.conditions?.find(({ type, status }) => type === 'SafeMode' && status === 'True');
}

/** There is hardly any room for files any more, or none: the condition that says so. */
export function fullHomeOf(device: Device): Condition | undefined {
  return device.status?.conditions?.find(({ type, status }) => type === 'HomeHasRoom' && status === 'False');
}

export function ownerOf(device: Device): string {
  return device.spec.openHydraUsername ?? device.metadata.name;
}

export function sandboxOf(device: Device): string | undefined {
  return device.spec.sandboxName ?? device.status?.sandboxName;
}

export const startSteps = ['Queued', 'Preparing', 'Starting', 'Running'] as const;
export type StartStep = (typeof startSteps)[number];

export interface StepView {
  step: StartStep;
  state: 'done' | 'current' | 'waiting' | 'failed';
  /** Seconds; undefined for what has not begun. */
  seconds: number | undefined;
}

/** The way from «queued» to «running», with the time that each step took or has taken so far. */
export function progressOf(device: Device, now: number): StepView[] {
  const phase = phaseOf(device);
  const failedAt = phase === 'Failed' ? firstWithoutTiming(device) : undefined;
  const current = failedAt ?? startSteps.findIndex((step) => step === phase);
  return startSteps.map((step, index) => {
    if (phase === 'Running' || index < current) return { step, state: 'done', seconds: timing(device, step) };
    if (index > current) return { step, state: 'waiting', seconds: undefined };
    if (failedAt !== undefined) return { step, state: 'failed', seconds: undefined };
    return { step, state: 'current', seconds: Math.max(0, elapsed(device, now) - finishedSeconds(device)) };
  });
}

/** Seconds since the environment was asked for. */
export function elapsed(device: Device, now: number): number {
  const created = Date.parse(device.metadata.creationTimestamp ?? '');
  return Number.isNaN(created) ? 0 : Math.max(0, (now - created) / 1000);
}

/** How long all finished steps took together. */
export function finishedSeconds(device: Device): number {
  return Object.values(device.status?.timings ?? {}).reduce((sum, seconds) => sum + seconds, 0);
}

function timing(device: Device, step: StartStep): number | undefined {
  return step === 'Running' ? undefined : device.status?.timings?.[step.toLowerCase() as 'queued' | 'preparing' | 'starting'];
}

function firstWithoutTiming(device: Device): number {
  const index = startSteps.findIndex((step) => timing(device, step) === undefined);
  return Math.max(0, Math.min(index, 2));
}
