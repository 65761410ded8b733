import { sendForJson, send } from './http';
import { lineBatches } from './lines';
import type { Source } from './list-watch';
import { firstOf } from './signals';
import type { Course, Device, DeviceCourse, KubeObject, List, Role, Sandbox, User, WatchEvent } from './types';

const group = 'open-hydra-server.openhydra.io/v1';
const root = `/apis/${group}`;
const pageSize = 500;
/** The server ends a watch after this; a stream that lives longer is one whose other end has vanished unnoticed. */
const watchSeconds = 300;

/** Objects of one kind. */
class Resource<T extends KubeObject> {
  constructor(
    readonly plural: string,
    readonly kind: string,
  ) {}

  path(name?: string): string {
    return name === undefined ? `${root}/${this.plural}` : `${root}/${this.plural}/${encodeURIComponent(name)}`;
  }

  get(name: string, signal?: AbortSignal): Promise<T> {
    return sendForJson<T>(this.path(name), { signal });
  }

  create(name: string, spec: object): Promise<T> {
    const body = { apiVersion: group, kind: this.kind, metadata: { name }, spec };
    return sendForJson<T>(this.path(), { method: 'POST', body });
  }

  patch(name: string, change: object): Promise<T> {
    return sendForJson<T>(this.path(name), { method: 'PATCH', body: change });
  }

  async remove(name: string): Promise<void> {
    await send(this.path(name), { method: 'DELETE' });
  }

  async all(signal?: AbortSignal): Promise<T[]> {
    const items: T[] = [];
    let next: string | undefined;
    do {
      const page = await this.page(next, signal);
      items.push(...page.items);
      next = page.metadata.continue;
    } while (next);
    return items;
  }

  page(next: string | undefined, signal?: AbortSignal): Promise<List<T>> {
    const query = new URLSearchParams({ limit: String(pageSize) });
    if (next) query.set('continue', next);
    return sendForJson<List<T>>(`${this.path()}?${query.toString()}`, { signal });
  }

  source(): Source<T> {
    return {
      list: (next, signal) => this.page(next, signal),
      watch: (version, signal) => this.#watch(version, signal),
    };
  }

  async *#watch(resourceVersion: string, signal: AbortSignal): AsyncGenerator<WatchEvent<T>[]> {
    const query = new URLSearchParams({
      watch: 'true',
      resourceVersion,
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(watchSeconds),
    });
    const limit = AbortSignal.timeout((watchSeconds + 15) * 1000);
    const either = firstOf(signal, limit);
    try {
      const response = await send(`${this.path()}?${query.toString()}`, { signal: either });
      if (!response.body) return;
      yield [];
      for await (const lines of lineBatches(response.body)) {
        yield lines.filter((line) => line !== '').map((line) => JSON.parse(line) as WatchEvent<T>);
      }
    } catch (error) {
      if (!limit.aborted || signal.aborted) throw error;
    }
  }
}

export const users = new Resource<User>('openhydrausers', 'OpenHydraUser');
export const devices = new Resource<Device>('devices', 'Device');
export const sandboxes = new Resource<Sandbox>('sandboxes', 'Sandbox');
export const courses = new Resource<Course>('courses', 'Course');

export interface NewUser {
  name: string;
  chineseName: string;
  password: string;
  role: Role;
}

export function createUser({ name, chineseName, password, role }: NewUser): Promise<User> {
  return users.create(name, { chineseName: chineseName === '' ? name : chineseName, password, role });
}

/** What else may be said of a start. */
export interface Wishes {
  /** The owner's, where that is known. */
  language?: string | undefined;
  /** Nothing is read of what the home configures. */
  safeMode?: boolean | undefined;
}

export function startDevice(owner: string, sandboxName: string, wishes: Wishes = {}): Promise<Device> {
  return devices.create(owner, { openHydraUsername: owner, sandboxName, ...wishes });
}

/** It is not ended for being idle before that. */
export function keepDevice(name: string, until: Date): Promise<Device> {
  return devices.patch(name, { spec: { keepUntil: until.toISOString() } });
}

/** Copies a course into the home of a running environment, or what is new in it. */
export function workOnCourse(device: string, course: string): Promise<DeviceCourse> {
  const body = { apiVersion: group, kind: 'DeviceCourse', spec: { course } };
  return sendForJson<DeviceCourse>(`${devices.path(device)}/course`, { method: 'POST', body });
}

/** The log as it grows; ends with the environment. */
export async function* followLog(name: string, signal: AbortSignal): AsyncGenerator<string[]> {
  const response = await send(`${devices.path(name)}/log?follow=true&tailLines=1000`, { signal });
  if (response.body) yield* lineBatches(response.body);
}
