// For developers of the dashboard: a stand-in for the server, in memory, with invented environments. It serves `dist/` with the
// content security policy of the real gateway, the API of docs/dashboard-api.md, and a page for each environment on a port of its own.
// It checks little and keeps nothing; the real server is the measure of everything.
//
//   npm run build && npm run stand-in          then http://127.0.0.1:30001, teacher/teacher, student/student
//   PORT=… FIRST_ENVIRONMENT_PORT=…            other ports
//   DIST=…                                     another build than `dist/`
//   SLOW=4                                     environments that take four times as long to start
//   NO_LOGIN=1                                 as with `disableAuth`
//   SETUP=1                                    nobody is there: the set-up link is printed
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const port = Number(process.env.PORT ?? 30001);
const firstEnvironmentPort = Number(process.env.FIRST_ENVIRONMENT_PORT ?? 31000);
const slow = Number(process.env.SLOW ?? 1);
const noLogin = process.env.NO_LOGIN === '1';
const host = '127.0.0.1';
const group = 'open-hydra-server.openhydra.io/v1';
const dist = process.env.DIST ?? fileURLToPath(new URL('../dist/', import.meta.url));

// ---- objects: a revision counter, a log, and whoever watches

let revision = 1000;
let oldest = 1000;
const kinds = { openhydrausers: new Map(), devices: new Map(), sandboxes: new Map(), courses: new Map() };
const log = [];
const watchers = new Set();
const passwords = new Map();
const sessions = new Map();
const tickets = new Map();
const logs = new Map();
const ports = new Map();

function write(type, plural, object) {
  revision += 1;
  const stored = structuredClone(object);
  stored.metadata.resourceVersion = String(revision);
  if (type === 'DELETED') kinds[plural].delete(stored.metadata.name);
  else kinds[plural].set(stored.metadata.name, stored);
  const event = { revision, plural, type, object: stored };
  log.push(event);
  if (log.length > 500) oldest = log.shift().revision;
  for (const watcher of watchers) watcher(event);
  return stored;
}

function addUser(name, chineseName, role, password) {
  passwords.set(name, password);
  return write('ADDED', 'openhydrausers', object('OpenHydraUser', name, { chineseName, role }));
}

function object(kind, name, spec) {
  const metadata = { name, uid: randomBytes(8).toString('hex'), creationTimestamp: new Date().toISOString() };
  return { apiVersion: group, kind, metadata, spec };
}

write('ADDED', 'sandboxes', object('Sandbox', 'jupyter-lab', { displayTitle: 'Jupyter Lab', description: 'Python 3 · NumPy · pandas', developmentInfo: ['Python 3'] }));
if (process.env.SANDBOXES === '2') {
  write('ADDED', 'sandboxes', object('Sandbox', 'vscode', { displayTitle: 'VS Code', description: 'A code editor with a terminal' }));
}
write('ADDED', 'courses', { ...object('Course', 'lesson-1', { displayTitle: 'Lesson 1', titles: { zh: '第一课' } }), status: { version: 1 } });
if (process.env.SETUP !== '1') {
  addUser('teacher', '王老师', 1, 'teacher');
  addUser('admin', 'admin', 1, 'openhydra');
  addUser('student', '李同学', 2, 'student');
}
const setupCode = randomBytes(12).toString('hex');
const hasAdministrator = () => [...kinds.openhydrausers.values()].some((user) => user.spec.role === 1);

// ---- environments: phases by timer; a name with «fail» in it fails

function setStatus(name, change) {
  const device = kinds.devices.get(name);
  if (device && !device.metadata.deletionTimestamp) write('MODIFIED', 'devices', { ...device, status: { ...device.status, ...change } });
}

function addLog(name, line) {
  const entry = logs.get(name);
  if (!entry) return;
  entry.lines.push(line);
  for (const listener of entry.listeners) listener(line);
}

function startEnvironment(device) {
  const { name } = device.metadata;
  const owner = device.spec.openHydraUsername;
  const number = ports.get(owner) ?? firstEnvironmentPort + ports.size;
  if (!ports.has(owner)) listenForEnvironment(owner, number);
  ports.set(owner, number);
  const urls = [`http://${host}:${number}/`];
  logs.set(name, { lines: [], listeners: new Set() });
  const fails = owner.includes('fail');
  const timings = {};
  const { uid } = device.metadata;
  const later = (seconds, act) => setTimeout(() => kinds.devices.get(name)?.metadata.uid === uid && act(), seconds * 1000 * slow);
  setStatus(name, { phase: 'Queued', reason: 'Waiting', message: 'two other environments are starting', urls });
  later(0.4, () => {
    timings.queued = 0.4 * slow;
    setStatus(name, { phase: 'Preparing', reason: 'Home', message: 'making the home directory', timings });
  });
  later(1, () => {
    timings.preparing = 0.6 * slow;
    setStatus(name, { phase: 'Starting', reason: 'Jupyter', message: 'Jupyter does not answer yet', timings });
    addLog(name, '[I ServerApp] jupyterlab | extension was successfully loaded.');
  });
  later(2, () => addLog(name, '[I ServerApp] Serving notebooks from local directory: /home/jovyan'));
  later(2.6, () => {
    if (fails) {
      addLog(name, 'OSError: [Errno 28] No space left on device');
      setStatus(name, { phase: 'Failed', reason: 'ContainerExited', message: 'the container ended with exit code 1', timings, log: logs.get(name).lines });
      return;
    }
    timings.starting = 1.6 * slow;
    addLog(name, '[I ServerApp] Jupyter Server is running');
    const conditions = [
      { type: 'Ready', status: 'True', reason: 'Running' },
      { type: 'LimitsEnforced', status: 'False', reason: 'NoCgroup', message: 'the engine cannot limit memory here' },
    ];
    setStatus(name, { phase: 'Running', reason: '', message: '', startedAt: new Date().toISOString(), timings, conditions });
  });
}

function stopEnvironment(device) {
  const stopping = { ...device, metadata: { ...device.metadata, deletionTimestamp: new Date().toISOString() } };
  write('MODIFIED', 'devices', { ...stopping, status: { ...device.status, phase: 'Stopping' } });
  setTimeout(() => {
    write('DELETED', 'devices', kinds.devices.get(device.metadata.name) ?? stopping);
    logs.delete(device.metadata.name);
  }, 900 * slow);
}

/** An environment's own origin: a page for those with its cookie, the way to the login for the rest. */
function listenForEnvironment(owner, number) {
  const cookie = `stand-in-${number}=in`;
  createServer((request, response) => {
    const url = new URL(request.url, `http://${host}:${number}`);
    if (request.method === 'POST' && tickets.get(url.searchParams.get('ticket')) === number) {
      tickets.delete(url.searchParams.get('ticket'));
      response.writeHead(204, {
        'Access-Control-Allow-Origin': `http://${host}:${port}`,
        'Access-Control-Allow-Credentials': 'true',
        'Set-Cookie': `${cookie}; HttpOnly; Path=/; SameSite=Lax`,
        'Clear-Site-Data': '"storage"',
      });
      response.end();
    } else if (request.headers.cookie?.includes(cookie)) {
      response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' });
      response.end(`<!doctype html><title>JupyterLab (stand-in)</title><h1>${owner}</h1>`);
    } else {
      response.writeHead(302, { Location: `http://${host}:${port}/open?to=${encodeURIComponent(url.href)}` });
      response.end();
    }
  }).listen(number, host);
}

// ---- requests

class Refusal extends Error {
  constructor(code, reason, message, causes) {
    super(message);
    this.code = code;
    this.status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, message, code, ...(causes && { details: { causes } }) };
  }
}

function whoAsks(request) {
  if (noLogin) return kinds.openhydrausers.get('teacher');
  const cookie = /stand-in-session=([0-9a-f]+)/.exec(request.headers.cookie ?? '')?.[1];
  const session = sessions.get(cookie);
  if (!session || session.key !== request.headers['x-open-hydra-session-key']) return undefined;
  return kinds.openhydrausers.get(session.username);
}

function sessionOf(user, key) {
  const common = { setupRequired: !hasAdministrator(), authDisabled: noLogin };
  if (!user) return { authenticated: false, ...common };
  const { name } = user.metadata;
  return {
    authenticated: true,
    username: name,
    chineseName: user.spec.chineseName,
    role: user.spec.role,
    wellKnownPassword: passwords.get(name) === 'openhydra',
    expirationTimestamp: new Date(Date.now() + 12 * 3600e3).toISOString(),
    ...(key && { key }),
    ...common,
  };
}

function beginSession(response, code, user) {
  const cookie = randomBytes(16).toString('hex');
  const key = randomBytes(16).toString('hex');
  sessions.set(cookie, { key, username: user.metadata.name });
  response.setHeader('Set-Cookie', `stand-in-session=${cookie}; HttpOnly; Path=/; SameSite=Strict`);
  answer(response, code, sessionOf(user, key));
}

async function auth(request, response, action, body) {
  if (action === 'session') return answer(response, 200, sessionOf(whoAsks(request)));
  if (action === 'login') {
    await new Promise((resolve) => setTimeout(resolve, 200));
    if (passwords.get(body.username) !== body.password) throw new Refusal(401, 'Unauthorized', 'wrong user name or password');
    return beginSession(response, 200, kinds.openhydrausers.get(body.username));
  }
  if (action === 'setup') {
    if (hasAdministrator() || body.code !== setupCode) throw new Refusal(403, 'Forbidden', 'the code is wrong, used or not needed');
    checkPassword(body.password, 'password');
    return beginSession(response, 201, addUser(body.username, body.chineseName ?? body.username, 1, body.password));
  }
  const user = whoAsks(request);
  if (action === 'logout') {
    sessions.delete(/stand-in-session=([0-9a-f]+)/.exec(request.headers.cookie ?? '')?.[1]);
    response.writeHead(204);
    return response.end();
  }
  if (!user || passwords.get(user.metadata.name) !== body.currentPassword) throw new Refusal(401, 'Unauthorized', 'the current password is wrong');
  checkPassword(body.newPassword, 'newPassword');
  passwords.set(user.metadata.name, body.newPassword);
  for (const [cookie, session] of sessions) if (session.username === user.metadata.name) sessions.delete(cookie);
  return beginSession(response, 200, user);
}

function checkPassword(password, field) {
  if ((password ?? '').length < 4) {
    const message = 'must have at least 4 characters';
    throw new Refusal(422, 'Invalid', `${field}: ${message}`, [{ field, message, reason: 'FieldValueInvalid' }]);
  }
}

function maySee(user, plural, object) {
  if (user.spec.role === 1 || plural === 'sandboxes' || plural === 'courses') return true;
  const owner = plural === 'devices' ? object.spec.openHydraUsername : object.metadata.name;
  return owner === user.metadata.name;
}

async function api(request, response, url, body) {
  const user = whoAsks(request);
  if (!user) throw new Refusal(401, 'Unauthorized', 'log in first');
  const [plural, name, part] = url.pathname.split('/').slice(4).map(decodeURIComponent);
  if (!kinds[plural]) throw new Refusal(404, 'NotFound', 'no such kind');
  if (name === undefined && request.method === 'GET') {
    return url.searchParams.get('watch') === 'true' ? watch(request, response, url, user, plural) : list(response, url, user, plural);
  }
  if (request.method === 'POST' && name === undefined) return create(response, user, plural, body);
  const found = kinds[plural].get(name);
  if (!found || !maySee(user, plural, found)) throw new Refusal(404, 'NotFound', `${plural} "${name}" not found`);
  if (part === 'ticket') return ticket(response, found);
  if (part === 'course') return workOnCourse(response, found, body.spec.course);
  if (part === 'log') return followLog(request, response, name);
  if (request.method === 'GET') return answer(response, 200, found);
  if (request.method === 'PATCH') {
    const { password, ...spec } = body.spec ?? {};
    if (password !== undefined) {
      checkPassword(password, 'spec.password');
      passwords.set(name, password);
    }
    return answer(response, 200, write('MODIFIED', plural, { ...found, spec: { ...found.spec, ...spec } }));
  }
  if (request.method === 'DELETE') {
    if (plural === 'devices') stopEnvironment(found);
    else {
      if (name === user.metadata.name) throw new Refusal(403, 'Forbidden', 'the last administrator cannot be deleted');
      for (const device of kinds.devices.values()) if (device.spec.openHydraUsername === name) stopEnvironment(device);
      write('DELETED', plural, found);
    }
    return answer(response, 200, { kind: 'Status', status: 'Success' });
  }
  throw new Refusal(405, 'MethodNotAllowed', 'not offered');
}

function list(response, url, user, plural) {
  const all = [...kinds[plural].values()].filter((each) => maySee(user, plural, each));
  const from = Number(url.searchParams.get('continue') ?? 0);
  const limit = Number(url.searchParams.get('limit') ?? all.length) || all.length;
  const next = from + limit < all.length ? { continue: String(from + limit) } : {};
  answer(response, 200, { kind: 'List', apiVersion: group, metadata: { resourceVersion: String(revision), ...next }, items: all.slice(from, from + limit) });
}

function watch(request, response, url, user, plural) {
  const from = Number(url.searchParams.get('resourceVersion'));
  if (from < oldest) throw new Refusal(410, 'Expired', 'too old resource version');
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.flushHeaders();
  const send = (event) => {
    if (event.plural === plural && event.revision > from && maySee(user, plural, event.object)) {
      response.write(`${JSON.stringify({ type: event.type, object: event.object })}\n`);
    }
  };
  log.forEach(send);
  watchers.add(send);
  const bookmark = setInterval(() => {
    response.write(`${JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: String(revision) } } })}\n`);
  }, 20_000);
  const end = setTimeout(() => {
    watchers.delete(send);
    clearInterval(bookmark);
    response.end();
  }, Number(url.searchParams.get('timeoutSeconds') ?? 300) * 1000);
  request.on('close', () => {
    watchers.delete(send);
    clearInterval(bookmark);
    clearTimeout(end);
  });
}

function create(response, user, plural, body) {
  const { name } = body.metadata;
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) {
    throw new Refusal(422, 'Invalid', `"${name}" is not a DNS label`, [{ field: 'metadata.name', message: 'must be a DNS label' }]);
  }
  if (kinds[plural].has(name)) throw new Refusal(409, 'AlreadyExists', `${plural} "${name}" already exists`);
  if (plural === 'openhydrausers') {
    checkPassword(body.spec.password, 'spec.password');
    return answer(response, 201, addUser(name, body.spec.chineseName, body.spec.role, body.spec.password));
  }
  if (!maySee(user, plural, body)) throw new Refusal(403, 'Forbidden', 'only your own');
  const device = write('ADDED', plural, object('Device', name, body.spec));
  startEnvironment(device);
  return answer(response, 201, device);
}

const worked = new Set();

function workOnCourse(response, device, course) {
  if (!kinds.courses.has(course)) throw new Refusal(404, 'NotFound', `course ${course}: there is no course of that name here`);
  const again = worked.has(`${device.metadata.uid} ${course}`);
  worked.add(`${device.metadata.uid} ${course}`);
  const counts = { new: again ? 0 : 1, updated: 0, both: 0, yours: 0, same: again ? 1 : 0, deleted: 0, withdrawn: 0, skipped: 0 };
  const files = again ? [] : [{ path: 'lesson.py', what: 'new' }];
  answer(response, 200, { apiVersion: group, kind: 'DeviceCourse', spec: { course }, status: { folder: `courses/${course}`, counts, files } });
}

function ticket(response, device) {
  const code = randomBytes(12).toString('hex');
  const number = ports.get(device.spec.openHydraUsername);
  tickets.set(code, number);
  answer(response, 201, { kind: 'DeviceTicket', status: { url: `http://${host}:${number}/open?ticket=${code}` } });
}

function followLog(request, response, name) {
  const entry = logs.get(name);
  response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8' });
  response.flushHeaders();
  if (!entry) return response.end();
  for (const line of entry.lines) response.write(`${line}\n`);
  const send = (line) => response.write(`${line}\n`);
  entry.listeners.add(send);
  request.on('close', () => entry.listeners.delete(send));
}

function answer(response, code, body) {
  response.writeHead(code, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
}

// ---- the dashboard's files, as the gateway serves them

const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const policy = [
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'",
  `connect-src 'self' http://${host}:*; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`,
].join('; ');

async function file(response, path) {
  const wanted = extname(path) === '' ? 'index.html' : normalize(path).replace(/^[/\\]+/, '');
  try {
    const content = await readFile(join(dist, wanted));
    response.writeHead(200, {
      'Content-Type': types[extname(wanted)] ?? 'application/octet-stream',
      'Content-Security-Policy': policy,
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Referrer-Policy': 'same-origin',
      'X-Content-Type-Options': 'nosniff',
      ETag: createHash('sha256').update(content).digest('base64'),
    });
    response.end(content);
  } catch {
    response.writeHead(404).end();
  }
}

async function bodyOf(request) {
  let text = '';
  for await (const piece of request) text += piece;
  return text === '' ? {} : JSON.parse(text);
}

async function serve(request, response) {
  const url = new URL(request.url, `http://${host}:${port}`);
  try {
    if (url.pathname.startsWith('/auth/')) await auth(request, response, url.pathname.slice(6), await bodyOf(request));
    else if (url.pathname.startsWith(`/apis/${group}/`)) await api(request, response, url, await bodyOf(request));
    else await file(response, url.pathname);
  } catch (error) {
    if (!(error instanceof Refusal)) console.error(error);
    const status = error.status ?? { kind: 'Status', reason: 'InternalError', message: String(error), code: 500 };
    if (!response.headersSent) answer(response, error.code ?? 500, status);
  }
}

createServer((request, response) => void serve(request, response)).listen(port, host, () => {
  console.log(`dashboard  http://${host}:${port}/`);
  if (!hasAdministrator()) console.log(`set-up     http://${host}:${port}/setup?code=${setupCode}`);
});
