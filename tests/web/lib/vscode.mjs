import assert from 'node:assert/strict';

export const patience = 90_000;

/** VS Code has drawn itself and its extensions' process runs: until then a command may go nowhere. */
export async function waitForWorkbench(page) {
  await page.locator('.monaco-workbench .part.statusbar').waitFor({ timeout: patience });
  await page.locator('.explorer-folders-view .monaco-list').waitFor({ timeout: patience });
}

/** Opens a file of the folder by a click in the explorer. */
export async function openFile(page, name) {
  await page.locator('.explorer-folders-view .monaco-list-row').filter({ hasText: name }).first().dblclick({ timeout: patience });
  await page.locator('.tabs-container .tab.active').filter({ hasText: name }).waitFor({ timeout: patience });
  await editor(page).waitFor({ timeout: patience });
}

export const editor = (page) => page.locator('.editor-instance .monaco-editor .view-lines').first();

/** Replaces what the open file holds. */
export async function write(page, text) {
  await editor(page).click();
  await page.keyboard.press('Control+A');
  await page.keyboard.press('Delete');
  await page.keyboard.insertText(text);
}

/** A command of the palette, by a part of its English or Chinese name. */
export async function command(page, name) {
  await page.keyboard.press('F1');
  const input = page.locator('.quick-input-widget input');
  await input.waitFor({ timeout: patience });
  await input.fill(`>${name}`);
  await page.locator('.quick-input-list .monaco-list-row').first().waitFor({ timeout: patience });
  await page.keyboard.press('Enter');
}

/** What a file of the environment holds, as the server behind the page reads it; undefined where there is none. */
export function read(page, path) {
  return page.evaluate(async (path) => {
    const response = await fetch(`/vscode-remote-resource?path=${encodeURIComponent(path)}`, { cache: 'no-store' });
    return response.ok ? response.text() : undefined;
  }, path);
}

export async function waitForFile(page, path, wanted, within = patience) {
  const until = Date.now() + within;
  let content;
  while (Date.now() < until) {
    content = await read(page, path);
    if (content !== undefined && wanted.test(content)) return content;
    await page.waitForTimeout(300);
  }
  assert.fail(`${path} holds ${JSON.stringify(content)}`);
}

/** Types into the terminal that has the focus until the file is there: what comes before its shell has begun may be lost. */
export async function typeForFile(page, line, path, wanted) {
  for (let tries = 0; tries < 8; tries++) {
    await page.waitForTimeout(1000);
    await page.keyboard.type(line);
    await page.keyboard.press('Enter');
    if (await waitForFile(page, path, wanted, 10_000).then(() => true, () => false)) return;
  }
  assert.fail(`«${line}» has not written ${path}`);
}
