import { useState } from 'react';
import { isNotFound } from '../api/errors';
import { enter } from '../api/open';
import { devices, startDevice, type Wishes } from '../api/resources';
import type { Device } from '../api/types';
import { ownerOf, sandboxOf } from '../domain/devices';
import type { Live } from './collections';

/** Long enough for programs that are told to end and do not hurry. */
const longestStop = 60_000;

export async function stopDevice(name: string): Promise<void> {
  try {
    await devices.remove(name);
  } catch (error) {
    // Somebody else was faster: what was wanted is so.
    if (!isNotFound(error)) throw error;
  }
}

/** Removes an environment and starts it anew once it is really gone, in the language that it had unless another is wished for. */
export async function restartDevice(device: Device, live: Live<Device>, wishes: Wishes = {}): Promise<void> {
  const { name } = device.metadata;
  await stopDevice(name);
  await live.until((items) => items.get(name)?.metadata.uid !== device.metadata.uid || !items.has(name), longestStop);
  await startDevice(ownerOf(device), sandboxOf(device) ?? 'jupyter-lab', { language: device.spec.language, ...wishes });
}

export class PopupBlocked extends Error {}

/** Opens an environment in a tab. The empty tab opens within the click, or the browser would block it. */
export function useOpenDevice(): { opening: string | undefined; error: unknown; open: (name: string, port?: number) => void } {
  const [opening, setOpening] = useState<string>();
  const [error, setError] = useState<unknown>();

  const fill = async (name: string, port: number | undefined, tab: Window): Promise<void> => {
    setOpening(name);
    try {
      const origin = await enter(name, port);
      // The environment must not reach back to this page.
      tab.opener = null;
      tab.location.replace(`${origin}/`);
    } catch (failure) {
      tab.close();
      setError(failure);
    } finally {
      setOpening(undefined);
    }
  };

  const open = (name: string, port?: number): void => {
    setError(undefined);
    const tab = window.open('', '_blank');
    if (tab) void fill(name, port, tab);
    else setError(new PopupBlocked());
  };
  return { opening, error, open };
}
