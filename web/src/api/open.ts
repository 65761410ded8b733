import { EnvironmentUnreachable, errorOf } from './errors';
import { sendForJson } from './http';
import { devices } from './resources';
import type { Device } from './types';

interface Ticket {
  status: { url: string };
}

/**
 * Gets this browser into an environment: a one-use ticket, redeemed at the environment's own origin, which answers with its cookie
 * and clears what an earlier owner of the address left there. Returns the origin that may be opened now. `port`: of several that the
 * environment has; without it the first.
 */
export async function enter(device: string, port?: number): Promise<string> {
  const ticket = await sendForJson<Ticket>(`${devices.path(device)}/ticket`, { method: 'POST', ...(port && { body: { spec: { port } } }) });
  const redeemed = await redeem(ticket.status.url);
  if (!redeemed.ok) throw await errorOf(redeemed);
  return new URL(ticket.status.url).origin;
}

async function redeem(url: string): Promise<Response> {
  try {
    return await fetch(url, { method: 'POST', credentials: 'include', mode: 'cors' });
  } catch (error) {
    throw new EnvironmentUnreachable(new URL(url).origin, error);
  }
}

/** The device that an address belongs to, if it is among those that this user may see. One that is being stopped has none any more: it is found by its port. */
export function deviceAt(address: URL, among: Iterable<Device>): Device | undefined {
  let going: Device | undefined;
  for (const device of among) {
    if (device.status?.urls?.some((url) => originOf(url) === address.origin)) return device;
    if (device.metadata.deletionTimestamp && String(device.status?.port) === address.port) going = device;
  }
  return going;
}

/** Which of the device's ports an address is; undefined where there is one alone. */
export function portAt(address: URL, device: Device): number | undefined {
  const { urls, ports } = device.status ?? {};
  return ports?.[urls?.findIndex((url) => originOf(url) === address.origin) ?? -1]?.port;
}

export function originOf(url: string): string | undefined {
  try {
    return new URL(url).origin;
  } catch {
    return undefined;
  }
}
