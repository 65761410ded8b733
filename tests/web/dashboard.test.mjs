// The whole way in a browser: from the set-up link to a cell that runs, and everything that a teacher does in between.
//
//   OPENHYDRA_URL        the dashboard, http://127.0.0.1:30001
//   OPENHYDRA_SETUP_URL  the one-use set-up link of a server that has no administrator yet
//   OPENHYDRA_STAND_IN   1: the environments are those of web/dev/stand-in.mjs, with no Jupyter in them
//   CHROMIUM             path of the browser, if it is not in a usual place
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAccessible, assertAccessibleAsItIs } from './lib/accessibility.mjs';
import { ask, complaints, fillLogin, launch, logIn, visitor } from './lib/browser.mjs';
import { runCell, runInTerminal, waitForLab } from './lib/jupyter.mjs';

const base = (process.env.OPENHYDRA_URL ?? 'http://127.0.0.1:30001').replace(/\/$/, '');
const setupUrl = process.env.OPENHYDRA_SETUP_URL;
const standIn = process.env.OPENHYDRA_STAND_IN === '1';
/** A cold start on a small machine with other work. */
const startPatience = standIn ? 20_000 : 180_000;

const admin = { name: 'head-teacher', password: 'a-long-day-in-spring' };
const anna = { name: 'anna', password: 'anna-likes-rain' };
const bruno = { name: 'bruno', password: 'bruno-likes-sun' };
const wellKnown = { name: 'late', password: 'openhydra' };

let browser;
/** Pages of people who stay logged in from one test to the next. */
const at = {};

before(async () => {
  browser = await launch();
});

after(async () => {
  await browser?.close();
});

const button = (page, name) => page.getByRole('button', { name, exact: typeof name === 'string' });
const heading = (page, name) => page.getByRole('heading', { name });
const row = (page, name, within = page) =>
  within.getByRole('row').filter({ has: page.getByRole('rowheader', { name: new RegExp(`^${name}\\b`) }) });

async function rowAction(page, name, action) {
  await button(page, `Actions for ${name}`).click();
  await page.getByRole('menuitem', { name: action }).click();
}

async function useEnglish(page) {
  await page.locator('.language-switch').getByRole('button', { name: 'English' }).click();
}

test('the set-up link makes the first administrator, once', async () => {
  assert.ok(setupUrl, 'OPENHYDRA_SETUP_URL is not set');
  const page = await visitor(browser, base);
  at.admin = page;
  await page.goto(base + '/');
  await heading(page, 'Log in').waitFor();
  await page.getByText('There is no administrator yet').waitFor();
  await page.goto(setupUrl);
  await heading(page, 'Set-up').waitFor();
  await assertAccessible(page, 'set-up');

  await page.getByLabel('Username').fill('Head Teacher');
  await button(page, 'Create administrator').click();
  await page.getByText('lower-case letters a–z, digits and “-” only').waitFor();
  await assertAccessibleAsItIs(page, 'set-up with problems');
  await button(page, 'Use “head-teacher”').click();
  await page.getByLabel('Display name').fill('王老师');
  await page.locator('input[name=password]').fill(admin.password);
  await page.locator('input[name=repeated]').fill(admin.password);
  await button(page, 'Create administrator').click();
  await heading(page, 'My environment').waitFor();
  assert.equal(new URL(page.url()).pathname, '/');

  const late = await visitor(browser, base);
  await late.goto(setupUrl);
  await late.locator('input[name=password]').fill('too-late-for-this');
  await late.locator('input[name=repeated]').fill('too-late-for-this');
  await button(late, 'Create administrator').click();
  await late.getByText('This link is not valid any more').waitFor();
  await late.context().close();
});

test('pages of an administrator are accessible in both languages', async () => {
  const page = at.admin;
  for (const path of ['/', '/users', '/users/add', '/environments', '/password', '/open?to=nonsense', '/no/such/page']) {
    await page.goto(base + path);
    await page.locator('h1').waitFor();
    await page.waitForLoadState('networkidle').catch(() => undefined);
    await assertAccessible(page, path);
  }
  await useEnglish(page);
});

test('a pasted list becomes users; what cannot be created stays in the box', async () => {
  const page = at.admin;
  await page.goto(`${base}/users/add`);
  const box = page.getByLabel('List of users');
  await box.fill(
    [
      'name, display name, password, role',
      `${anna.name}, Anna, ${anna.password}, student`,
      `${bruno.name}\tBruno\t${bruno.password}`,
      `${wellKnown.name} Late ${wellKnown.password}`,
      'Carla_C, Carla',
      `${admin.name}, Myself`,
    ].join('\n'),
  );
  await page.getByText('Suggestion: carla-c').waitFor();
  await page.getByText('There is a user of this name already.').waitFor();
  await assertAccessible(page, 'add users with a preview');
  await useEnglish(page);
  await button(page, 'Use 1 suggestion').click();
  await button(page, 'Create 4 users').click();
  await heading(page, '4 users have been created.').waitFor();
  assert.equal(await box.inputValue(), `name, display name, password, role\n${admin.name}, Myself`);
  const generated = await row(page, 'carla-c', page.locator('.results')).locator('code').innerText();
  assert.match(generated, /^[a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{4}$/);
  await assertAccessible(page, 'add users with results');
  await useEnglish(page);

  const carla = await visitor(browser, base);
  await logIn(carla, base, { name: 'carla-c', password: generated });
  await carla.context().close();

  // Passwords that nobody has taken down outlive a look at another page, and are asked for before the end.
  await page.getByRole('link', { name: 'To the list of users' }).click();
  await page.getByText('The passwords of 4 new users are still waiting.').waitFor();
  await page.getByRole('button', { name: /^Account/ }).click();
  await page.getByRole('menuitem', { name: 'Log out' }).click();
  const question = page.getByRole('alertdialog', { name: 'Leave without copying the passwords?' });
  await assertAccessibleAsItIs(page, 'the question before passwords are lost');
  await question.getByRole('button', { name: 'Cancel' }).click();
  await button(page, 'Show them').click();
  assert.equal(await row(page, 'carla-c', page.locator('.results')).locator('code').innerText(), generated);
  await button(page, 'Save as CSV').click();
  await page.getByRole('link', { name: 'To the list of users' }).click();
  await page.getByText('The passwords of 4 new users are still waiting.').waitFor({ state: 'detached' });
});

test('a class in a list becomes nobody’s password', async () => {
  const page = at.admin;
  await page.goto(`${base}/users/add`);
  await page.getByLabel('List of users').fill('学号,姓名,班级\n20230201,王芳,计算机1班');
  await page.getByText('班级: left out').waitFor();
  await row(page, '20230201').getByText('made up').waitFor();
  await page.getByLabel('List of users').fill('20230201,王芳,计算机1班');
  await page.getByText('It is not said what “计算机1班” is.').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Create users' }).isEnabled(), false);
});

test('a wrong password is refused, and the focus is where it helps', async () => {
  const page = await visitor(browser, base);
  await page.goto(base + '/');
  await page.waitForFunction(() => document.activeElement?.getAttribute('name') === 'username');
  await assertAccessible(page, 'login');
  await useEnglish(page);
  await button(page, 'Log in').click();
  await page.getByText('Enter your username.').waitFor();
  await page.waitForFunction(() => document.activeElement?.getAttribute('name') === 'username');
  await fillLogin(page, { name: anna.name, password: 'not-hers' });
  await page.getByRole('alert').getByText('The username or the password is not right.').waitFor();
  await assertAccessible(page, 'login with an error');
  await page.context().close();
});

test('a browser that keeps no cookie is told so, not that the session has ended', async () => {
  const page = await visitor(browser, base);
  // As if it had kept none, like Safari over plain HTTP.
  await page.route('**/auth/session', async (route) => {
    await page.context().clearCookies();
    await route.continue();
  });
  await page.goto(base + '/');
  await fillLogin(page, anna);
  await page.getByRole('alert').getByText('has not kept the cookie').waitFor();
  assert.equal(await page.evaluate(() => localStorage.getItem('open-hydra.session-key')), null);
  await page.context().close();
});

test('a student starts an environment and sees how far it is; the teacher sees it live', async () => {
  const teacher = at.admin;
  await teacher.goto(`${base}/users`);
  await row(teacher, anna.name).getByText('Not started').waitFor();

  const page = await visitor(browser, base);
  at.anna = page;
  await logIn(page, base, anna);
  await heading(page, 'My environment').waitFor();
  await assertAccessible(page, 'my environment, stopped');
  await useEnglish(page);
  const progress = await watchProgress(page);
  await button(page, 'Start').click();
  await heading(page, 'Your environment is running').waitFor({ timeout: startPatience });
  const seen = await progress();
  assert.ok(seen.some((text) => /^(In the queue|Preparing the image and your files|Starting the environment)\b/.test(text)), `steps seen: ${seen.join(' | ')}`);
  assert.ok(seen.some((text) => /so far$/.test(text)), `elapsed time seen: ${seen.join(' | ')}`);
  await page.getByText(/Started in/).waitFor();
  await row(teacher, anna.name).getByText('Running').waitFor();
  await assertAccessible(page, 'my environment, running');
  await useEnglish(page);

  await button(page, 'Show the whole log').click();
  await page.getByRole('log').waitFor();
  await assertAccessibleAsItIs(page, 'my environment with its log');
  await button(page, 'Hide the log').click();
});

/** Notes what is shown on the way: a warm start may be over before a test has looked. */
async function watchProgress(page) {
  await page.evaluate(() => {
    window.progressSeen = new Set();
    const note = () => {
      for (const each of document.querySelectorAll('[aria-current=step], [role=timer]')) window.progressSeen.add(each.innerText);
    };
    new MutationObserver(note).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
  });
  return () => page.evaluate(() => [...window.progressSeen]);
}

test('an address that the browser does not reach is named, with a way to it', async () => {
  const page = at.anna;
  await page.route('**/.open-hydra/open*', (route) => route.abort());
  await button(page, /^Open Jupyter/).click();
  const notice = page.getByRole('alert').filter({ hasText: 'cannot reach the address' });
  await notice.waitFor();
  await page.unroute('**/.open-hydra/open*');
  assert.equal((await notice.innerText()).includes('certificate'), base.startsWith('https:'));
  await assertAccessibleAsItIs(page, 'an environment out of reach');
  // Its address, opened by itself, leads in by the dashboard.
  const [lab] = await Promise.all([page.waitForEvent('popup'), notice.getByRole('link', { name: /^Open the address/ }).click()]);
  if (!standIn) await waitForLab(lab);
  await lab.close();
});

test('it opens in a tab of its own, and a cell and a terminal run there', async () => {
  const page = at.anna;
  const [lab] = await Promise.all([page.waitForEvent('popup'), button(page, /^Open Jupyter/).click()]);
  at.lab = lab;
  await lab.waitForURL((url) => url.origin !== base && url.protocol.startsWith('http'));
  assert.notEqual(new URL(lab.url()).origin, new URL(base).origin);
  if (standIn) return;
  await waitForLab(lab);
  assert.equal(await runCell(lab, 'print(6 * 7)'), '42');
  assert.equal(await runInTerminal(lab, 'echo $((40 + 2))', 'from-the-terminal.txt'), '42');
});

test('a student begins to work on a course, and asks for what is new', async () => {
  const made = standIn || (await upload(at.admin, 'courses', 'lesson-1', 'lesson.py', 'print("one")\n'));
  assert.equal(made, standIn || 201);
  const page = at.anna;
  await page.reload();
  const begin = button(page, /^Start working on/);
  await begin.click();
  const report = page.getByRole('status').filter({ hasText: 'The course is among your files' });
  await report.getByText('~/courses/lesson-1').waitFor();
  await report.getByText('1 new file, 0 updated.').waitFor();
  await assertAccessibleAsItIs(page, 'my environment with a course');
  await begin.click();
  await page.getByRole('status').filter({ hasText: 'Nothing new' }).waitFor();
});

/** As a form sends it. */
function upload(page, plural, name, fileName, text) {
  return page.evaluate(
    async ({ plural, name, fileName, text }) => {
      const headers = { 'X-Open-Hydra-Session-Key': localStorage.getItem('open-hydra.session-key') ?? '' };
      const body = new FormData();
      body.set('name', name);
      body.set('file', new File([text], fileName));
      const response = await fetch(`/apis/open-hydra-server.openhydra.io/v1/${plural}`, { method: 'POST', headers, body });
      return response.status;
    },
    { plural, name, fileName, text },
  );
}

test('two students at once see only their own', async () => {
  const page = await visitor(browser, base, { locale: 'zh-CN' });
  at.bruno = page;
  await logIn(page, base, bruno);
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'zh-CN');
  await useEnglish(page);
  await heading(page, 'Ready when you are').waitFor();
  await button(page, 'Start').click();
  await heading(page, 'Your environment is running').waitFor({ timeout: startPatience });

  for (const [who, own] of [[at.anna, anna.name], [at.bruno, bruno.name]]) {
    const { body: devices } = await ask(who, 'devices');
    assert.deepEqual(devices.items.map((device) => device.spec.openHydraUsername), [own]);
    const { body: users } = await ask(who, 'openhydrausers');
    assert.deepEqual(users.items.map((user) => user.metadata.name), [own]);
  }
  assert.ok([403, 404].includes((await ask(at.bruno, `devices/${anna.name}`)).code));
  assert.ok([403, 404].includes((await ask(at.bruno, `openhydrausers/${anna.name}`)).code));

  const annas = await address(at.anna);
  const brunos = await address(at.bruno);
  assert.notEqual(new URL(annas).origin, new URL(brunos).origin);
  const [lab] = await Promise.all([page.waitForEvent('popup'), button(page, /^Open Jupyter/).click()]);
  await lab.waitForURL((url) => url.origin === new URL(brunos).origin);
  if (!standIn) {
    await waitForLab(lab);
    assert.equal(await runCell(lab, 'import os; print(os.path.exists("from-the-terminal.txt"))'), 'False');
  }

  // The other's address leads to the dashboard, which says no.
  const other = await page.context().newPage();
  await other.goto(annas);
  await other.getByText('None of the environments that you may open has this address.').waitFor();
  await assertAccessible(other, '/open of another user');
  await other.close();

  await page.goto(`${base}/users`);
  await heading(page, 'Only for administrators').waitFor();
  await assertAccessible(page, 'only for administrators');
  await useEnglish(page);
});

async function address(page) {
  const { body } = await ask(page, 'devices');
  return body.items[0].status.urls[0];
}

test('an address opened without a login leads to the login and back', async () => {
  const wanted = new URL(standIn ? '/some/page?x=1' : '/lab?reset=1', await address(at.anna)).href;
  const page = await visitor(browser, base);
  await page.goto(wanted);
  await page.waitForURL((url) => url.origin === new URL(base).origin);
  await page.getByText('Log in to go on to the page you asked for.').waitFor();
  await assertAccessible(page, 'login on the way to an environment');
  await fillLogin(page, anna);
  await page.waitForURL((url) => url.origin === new URL(wanted).origin);
  if (standIn) assert.equal(page.url(), wanted);
  else await waitForLab(page);

  // The address of nobody, and one that is none of ours, are not gone to.
  for (const to of ['http://127.0.0.1:9/', 'javascript:alert(1)', `${new URL(wanted).origin}.example.com/`, 'https://example.com/']) {
    await page.goto(`${base}/open?to=${encodeURIComponent(to)}`);
    await page.getByRole('link', { name: 'Go to my environment' }).waitFor();
    assert.equal(new URL(page.url()).origin, new URL(base).origin);
  }
  await page.context().close();
});

test("another's environment is opened after a click, by whoever may", async () => {
  const wanted = new URL('/some/page?x=1', await address(at.anna)).href;
  const page = await visitor(browser, base);
  await logIn(page, base, admin, '/environments');
  await page.goto(`${base}/open?to=${encodeURIComponent(wanted)}`);
  await heading(page, `Open the environment of ${anna.name}?`).waitFor();
  await page.getByText('/some/page?x=1', { exact: true }).waitFor();
  await assertAccessible(page, "/open of another's environment");
  await useEnglish(page);
  await page.waitForTimeout(1500);
  assert.equal(new URL(page.url()).origin, new URL(base).origin);
  assert.equal((await page.context().cookies()).filter(({ name }) => name.includes('open-hydra-env')).length, 0);
  // By the keyboard alone.
  const open = button(page, 'Open it');
  for (let i = 0; i < 30 && !(await open.evaluate((element) => element === document.activeElement)); i++) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => url.origin === new URL(wanted).origin);
  await page.context().close();
});

test('a session that has ended leads to the login and back to where one was', async () => {
  const page = await visitor(browser, base);
  // Once it watches it asks for nothing more by itself, and the click is the first to learn of the end.
  const watching = page.waitForResponse((answer) => /\/devices\?.*watch/.test(answer.url()));
  await logIn(page, base, admin, '/environments');
  await heading(page, 'Environments').waitFor();
  await watching;
  await page.context().clearCookies();
  await page.getByRole('link', { name: 'Users', exact: true }).click();
  await page.getByText('Your session has ended. Log in again').waitFor({ timeout: 30_000 });
  await fillLogin(page, admin);
  await heading(page, 'Users').waitFor();
  assert.equal(new URL(page.url()).pathname, '/users');

  // Without its key a cookie is nobody.
  await page.evaluate(() => localStorage.removeItem('open-hydra.session-key'));
  await page.reload();
  await heading(page, 'Log in').waitFor();
  await page.context().close();
});

test('the well-known password is accepted, and a change of it is offered', async () => {
  const page = await visitor(browser, base);
  await logIn(page, base, wellKnown);
  await page.getByText('Your password is the well-known one').waitFor();
  await assertAccessible(page, 'the offer to change the password');
  await useEnglish(page);
  await page.getByRole('status').getByRole('button', { name: 'Change password' }).click();
  await heading(page, 'Change password').waitFor();
  await page.waitForFunction(() => document.activeElement?.tagName === 'H1');

  const fill = async (current, next, repeated) => {
    await page.locator('input[name=currentPassword]').fill(current);
    await page.locator('input[name=newPassword]').fill(next);
    await page.locator('input[name=repeated]').fill(repeated);
    await page.locator('form button[type=submit]').click();
  };
  await fill(wellKnown.password, 'one-thing', 'another-thing');
  await page.getByText('The two are not the same.').waitFor();
  await fill('wrong-one', 'a-better-one-now', 'a-better-one-now');
  await page.getByText('The current password is not right.').first().waitFor();
  await fill(wellKnown.password, 'a-better-one-now', 'a-better-one-now');
  await page.getByText('Your password has been changed.').waitFor();
  await page.getByRole('link', { name: 'Go to the start page' }).click();
  await heading(page, 'My environment').waitFor();
  assert.equal(await page.getByText('Your password is the well-known one').count(), 0);
  await page.context().close();
});

test('a teacher finds, edits, gives a new password and deletes', async () => {
  const page = at.admin;
  await page.goto(`${base}/users`);
  await page.getByLabel('Search by name').fill('ann');
  await page.getByText(/^1 of /).waitFor();
  await rowAction(page, anna.name, /^Edit/);
  await assertAccessibleAsItIs(page, 'edit of a user');
  await page.getByRole('dialog').getByLabel('Display name').fill('Anna Maria');
  await button(page, 'Save').click();
  await row(page, anna.name).getByText('Anna Maria').waitFor();

  await page.getByLabel('Search by name').fill('');
  await rowAction(page, 'carla-c', /^New password/);
  await assertAccessibleAsItIs(page, 'reset of a password');
  await button(page, 'Set password').click();
  const password = await page.locator('.secret code').innerText();
  await assertAccessibleAsItIs(page, 'a new password');
  await button(page, 'Close').click();
  const carla = await visitor(browser, base);
  await logIn(carla, base, { name: 'carla-c', password });

  await rowAction(page, 'carla-c', /^Delete/);
  await assertAccessibleAsItIs(page, 'delete of a user');
  await page.keyboard.press('Escape');
  await page.getByRole('alertdialog').waitFor({ state: 'detached' });
  await page.waitForFunction(() => document.activeElement?.getAttribute('aria-label') === 'Actions for carla-c');
  await rowAction(page, 'carla-c', /^Delete/);
  await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click();
  await row(page, 'carla-c').waitFor({ state: 'detached', timeout: 30_000 });
  // Her session has ended with her.
  await carla.reload();
  await heading(carla, 'Log in').waitFor();
  await carla.context().close();
});

test('the list sorts, and says so', async () => {
  const page = at.admin;
  const header = page.getByRole('columnheader', { name: 'Username' });
  const names = () => page.getByRole('rowheader').allInnerTexts();
  await header.and(page.locator('[aria-sort=ascending]')).waitFor();
  const up = await names();
  await header.getByRole('button').click();
  await header.and(page.locator('[aria-sort=descending]')).waitFor();
  assert.deepEqual(await names(), up.reverse());
});

test('a student stops an environment, after being asked', async () => {
  const page = at.anna;
  await button(page, 'Stop').click();
  await page.getByRole('alertdialog').waitFor();
  await assertAccessibleAsItIs(page, 'the question before stopping');
  await button(page, 'Cancel').click();
  await button(page, 'Stop').click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Stop' }).click();
  await heading(page, 'Ready when you are').waitFor({ timeout: 60_000 });
});

test('a teacher starts for several, sees details, and stops all', async () => {
  const page = at.admin;
  await page.goto(`${base}/users`);
  await page.getByRole('checkbox', { name: `Select ${anna.name}` }).check();
  await page.getByRole('checkbox', { name: `Select ${bruno.name}` }).check();
  await page.getByRole('group', { name: '2 users selected' }).waitFor();
  await assertAccessible(page, 'users with a selection');
  await useEnglish(page);
  await button(page, 'Start environments').click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Start' }).click();
  await row(page, anna.name).getByText('Running').waitFor({ timeout: startPatience });

  await page.getByRole('link', { name: 'Environments' }).click();
  await heading(page, 'Environments').waitFor();
  await row(page, anna.name).waitFor();
  await assertAccessible(page, 'environments');
  await useEnglish(page);
  await rowAction(page, anna.name, /^Details/);
  await page.getByRole('dialog').getByRole('log').waitFor();
  await assertAccessibleAsItIs(page, 'details of an environment');
  await button(page, 'Close').click();
  await button(page, 'Stop all 2 shown').click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Stop' }).click();
  await heading(page, 'No environment is running').waitFor({ timeout: 90_000 });
});

test('a lost connection is shown, and found again without a reload', async () => {
  const page = at.admin;
  await page.goto(`${base}/users`);
  await row(page, anna.name).waitFor();
  await page.context().setOffline(true);
  await page.reload().catch(() => undefined);
  await page.context().setOffline(false);
  await page.goto(`${base}/users`);
  await row(page, anna.name).waitFor();
  await page.route('**/apis/**', (route) => route.abort());
  // Pages that were open keep their stream; a new one has to be begun.
  await page.getByRole('link', { name: 'My environment' }).click();
  await page.waitForTimeout(6000);
  await page.getByRole('link', { name: 'Users', exact: true }).click();
  await page.getByText('Connection lost.').first().waitFor({ timeout: 30_000 });
  await assertAccessible(page, 'a lost connection');
  await useEnglish(page);
  await page.unroute('**/apis/**');
  await button(page, 'Try now').first().click();
  await page.getByText('Connection lost.').first().waitFor({ state: 'detached', timeout: 30_000 });
});

test('everything fits on a phone', async () => {
  const page = await visitor(browser, base, { width: 360 });
  await logIn(page, base, admin);
  for (const path of ['/', '/users', '/users/add', '/environments', '/password']) {
    await page.goto(base + path);
    await page.locator('h1').waitFor();
    await page.waitForTimeout(500);
    const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
    assert.ok(inner <= outer, `${path} is ${inner} px wide on a screen of ${outer}`);
    await assertAccessible(page, `${path} on a phone`);
  }
  await page.context().close();
});

test('logging out ends the session in all tabs', async () => {
  const page = at.anna;
  const second = await page.context().newPage();
  await second.goto(base + '/');
  await heading(second, 'My environment').waitFor();
  await button(page, /^Account/).click();
  await page.getByRole('menuitem', { name: 'Log out' }).click();
  await heading(page, 'Log in').waitFor();
  await heading(second, 'Log in').waitFor();
});

test('no page broke the content security policy or threw', () => {
  assert.deepEqual(complaints, []);
});
