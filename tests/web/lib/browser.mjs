import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const candidates = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/snap/bin/chromium'];

/** `--ignore-certificate-errors-spki-list=…`, say, where the dashboard's certificate is nobody's whom the browser knows. */
const moreArguments = process.env.CHROMIUM_ARGUMENTS?.split(' ') ?? [];

export async function launch() {
  const executablePath = candidates.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error('no Chromium found: install the package chromium, or set CHROMIUM to its path');
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', ...moreArguments] });
}

/** What the dashboard's pages complained about: violations of the content security policy, and errors that nobody caught. */
export const complaints = [];

/** Somebody at a browser of their own: cookies and storage are theirs alone. */
export async function visitor(browser, base, { locale = 'en-US', colorScheme = 'light', width = 1280 } = {}) {
  const context = await browser.newContext({ locale, colorScheme, viewport: { width, height: 900 } });
  context.setDefaultTimeout(45_000);
  const listen = (page) => {
    page.on('pageerror', (error) => {
      if (page.url().startsWith(base)) complaints.push(`${page.url()}: ${error.stack ?? error}`);
    });
    page.on('console', (message) => {
      if (page.url().startsWith(base) && /content security policy|violates/i.test(message.text())) complaints.push(`${page.url()}: ${message.text()}`);
    });
  };
  context.on('page', listen);
  return context.newPage();
}

export async function logIn(page, base, { name, password }, path = '/') {
  await page.goto(base + path);
  await fillLogin(page, { name, password });
  await page.getByRole('button', { name: /^(Account|账号)/ }).waitFor();
}

export async function fillLogin(page, { name, password }) {
  await page.locator('input[name=username]').fill(name);
  await page.locator('input[name=password]').fill(password);
  await page.locator('form button[type=submit]').click();
}

/** Asks the API as the page's own visitor. */
export function ask(page, path) {
  return page.evaluate(async (path) => {
    const headers = { 'X-Open-Hydra-Session-Key': localStorage.getItem('open-hydra.session-key') ?? '' };
    const response = await fetch(`/apis/open-hydra-server.openhydra.io/v1/${path}`, { headers });
    return { code: response.status, body: await response.json() };
  }, path);
}
