// A student in VS Code: the way in from the dashboard, a file, a terminal, Python's button, help and debugger, a page of an
// extension, and that what was written is there after a stop.
//
//   OPENHYDRA_URL       the dashboard
//   OPENHYDRA_STUDENT   NAME:PASSWORD of a student whose home holds hello.py and read.md
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, logIn, visitor } from './lib/browser.mjs';
import { command, editor, openFile, patience, read, typeForFile, waitForFile, waitForWorkbench, write } from './lib/vscode.mjs';

const base = process.env.OPENHYDRA_URL.replace(/\/$/, '');
const [name, password] = process.env.OPENHYDRA_STUDENT.split(':');
const startPatience = 180_000;

let browser, dashboard, code;

before(async () => {
  browser = await launch();
  dashboard = await visitor(browser, base, { locale: 'zh-CN' });
  await logIn(dashboard, base, { name, password });
});

after(async () => {
  await browser?.close();
});

async function start() {
  await dashboard.getByRole('button', { name: '启动', exact: true }).click();
  await dashboard.getByRole('heading', { name: '环境正在运行' }).waitFor({ timeout: startPatience });
}

async function open() {
  const [page] = await Promise.all([dashboard.waitForEvent('popup'), dashboard.getByRole('button', { name: /VS Code/ }).click()]);
  page.setDefaultTimeout(patience);
  await waitForWorkbench(page);
  return page;
}

test('it is chosen at the dashboard, and opens on the student’s home, in Chinese', async () => {
  await dashboard.getByText('VS Code', { exact: true }).click();
  await start();
  code = await open();
  assert.equal(new URL(code.url()).searchParams.get('folder'), '/home/student');
  await code.locator('.part.sidebar').getByText('资源管理器').first().waitFor();
});

test('a file is edited and saved', async () => {
  await openFile(code, 'hello.py');
  await write(code, 'import sys\nprint("你好", sys.version_info[0])\nopen("ran.txt", "w").write("by the button")\n');
  await code.keyboard.press('Control+S');
  await waitForFile(code, '/home/student/hello.py', /by the button/);
});

test('the button runs it in a terminal', async () => {
  await code.locator('.editor-actions .codicon-play').first().click();
  await waitForFile(code, '/home/student/ran.txt', /by the button/);
  await code.locator('.terminal-wrapper.active .xterm').waitFor();
});

test('a terminal runs python3', async () => {
  await code.keyboard.press('Control+Shift+Backquote');
  await code.locator('.terminal-wrapper.active .xterm').waitFor();
  await typeForFile(code, 'python3 -c "print(6*7)" > typed.txt', '/home/student/typed.txt', /^42$/m);
});

test('what may follow is offered, and what is wrong underlined', async () => {
  await openFile(code, 'hello.py');
  await write(code, 'import math\nmath.no_such_name\n');
  await code.locator('.squiggly-error, .squiggly-warning').first().waitFor();
  await code.keyboard.press('Control+End');
  await code.keyboard.type('math.flo', { delay: 50 });
  await code.keyboard.press('Control+Space');
  await code.locator('.suggest-widget.visible .monaco-list-row').filter({ hasText: 'floor' }).first().waitFor();
  await code.keyboard.press('Escape');
});

test('a breakpoint is hit', async () => {
  await write(code, 'total = 40\ntotal += 2\nprint(total)\n');
  await code.keyboard.press('Control+S');
  await code.keyboard.press('Control+End');
  await code.keyboard.press('ArrowUp');
  await code.keyboard.press('F9');
  await code.keyboard.press('F5');
  await code.locator('.debug-top-stack-frame-line, .debug-top-stack-frame-column').first().waitFor();
  await code.locator('.debug-view-content .monaco-list-row').filter({ hasText: /total/ }).filter({ hasText: /42/ }).first().waitFor();
  await code.keyboard.press('F5');
  await code.locator('.debug-toolbar').waitFor({ state: 'hidden' });
});

test('a page of an extension is shown', async () => {
  await code.keyboard.press('Control+Shift+E');
  await openFile(code, 'read.md');
  await code.keyboard.press('Control+Shift+V');
  const page = code.frameLocator('iframe.webview.ready').frameLocator('#active-frame');
  await page.getByRole('heading', { name: 'A heading' }).waitFor();
});

test('the files are there after a stop and a start', async () => {
  await code.close();
  await dashboard.getByRole('button', { name: '停止', exact: true }).click();
  await dashboard.getByRole('alertdialog').getByRole('button', { name: '停止', exact: true }).click();
  await dashboard.getByRole('button', { name: '启动', exact: true }).waitFor({ timeout: startPatience });
  await dashboard.getByText('VS Code', { exact: true }).click();
  await start();
  code = await open();
  assert.match(await read(code, '/home/student/hello.py'), /total \+= 2/);
  await openFile(code, 'hello.py');
  await editor(code).filter({ hasText: 'total' }).waitFor();
});
