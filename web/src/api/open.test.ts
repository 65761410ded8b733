import { expect, test } from 'vitest';
import { deviceAt, portAt } from './open';
import type { Device } from './types';

const device = (name: string, status: Device['status'], deletionTimestamp?: string): Device =>
  ({ metadata: { name, ...(deletionTimestamp && { deletionTimestamp }) }, spec: {}, status }) as Device;

test('an address leads to the device that has it', () => {
  const list = [device('a', { urls: ['http://host:31000'], port: 31000 }), device('b', { urls: ['http://host:31001'], port: 31001 })];
  expect(deviceAt(new URL('http://host:31001/lab'), list)?.metadata.name).toBe('b');
  expect(deviceAt(new URL('http://other:31001/lab'), list)).toBeUndefined();
  expect(deviceAt(new URL('http://host:31002/'), list)).toBeUndefined();
});

test('one that is being stopped is found by its port, where no other has the address', () => {
  const going = device('a', { urls: [], port: 31000 }, '2026-01-01T00:00:00Z');
  expect(deviceAt(new URL('http://host:31000/'), [going])?.metadata.name).toBe('a');
  expect(deviceAt(new URL('http://host:31001/'), [going])).toBeUndefined();
  const present = device('b', { urls: ['http://host:31000'], port: 31000 });
  expect(deviceAt(new URL('http://host:31000/'), [going, present])?.metadata.name).toBe('b');
  expect(deviceAt(new URL('http://host:31000/'), [device('c', { urls: [], port: 31000 })])).toBeUndefined();
});

test('of several addresses each has its port', () => {
  const status = { urls: ['http://host:31000', 'http://host'], port: 31000, ports: [{ name: 'lab', port: 31000 }, { name: 'app', port: 80 }] };
  expect(portAt(new URL('http://host:31000/a'), device('a', status))).toBe(31000);
  expect(portAt(new URL('http://host/'), device('a', status))).toBe(80);
  expect(portAt(new URL('http://host:1/'), device('a', status))).toBeUndefined();
  expect(portAt(new URL('http://host:31000/'), device('a', { urls: ['http://host:31000'], port: 31000 }))).toBeUndefined();
  expect(deviceAt(new URL('http://host/'), [device('a', status)])?.metadata.name).toBe('a');
});
