import assert from 'node:assert/strict';

const patience = 60_000;

/** Jupyter Lab has drawn itself. */
export async function waitForLab(page) {
  await page.locator('.jp-LabShell, #jp-main-dock-panel').first().waitFor({ timeout: patience });
  await page.locator('#jupyterlab-splash').waitFor({ state: 'detached', timeout: patience });
}

/** Runs a cell in a new notebook and returns what it printed. */
export async function runCell(page, code) {
  await launch(page, 'Notebook');
  const notebook = page.locator('.jp-NotebookPanel:not(.lm-mod-hidden)');
  const cell = notebook.locator('.jp-Cell .cm-content').first();
  await cell.click({ timeout: patience });
  // The kernel's name is known once it has been chosen.
  await notebook.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').waitFor({ timeout: patience });
  await page.keyboard.insertText(code);
  await page.keyboard.press('Shift+Enter');
  const output = notebook.locator('.jp-OutputArea-output').first();
  await output.waitFor({ timeout: patience });
  return (await output.innerText()).trim();
}

/** Runs a command in a terminal. What it draws is no text, so the command leaves a file, and that is read. */
export async function runInTerminal(page, command, file) {
  await launch(page, 'Other', 'Terminal');
  const terminal = page.locator('.jp-Terminal:not(.lm-mod-hidden) .xterm-helper-textarea');
  await terminal.waitFor({ state: 'attached', timeout: patience });
  await page.waitForTimeout(1000);
  await terminal.focus();
  await page.keyboard.type(`${command} > ${file}`);
  await page.keyboard.press('Enter');
  const until = Date.now() + patience;
  while (Date.now() < until) {
    const content = await page.evaluate(async (path) => {
      const response = await fetch(`/api/contents/${path}?content=1`);
      return response.ok ? (await response.json()).content : undefined;
    }, file);
    if (content) return content.trim();
    await page.waitForTimeout(500);
  }
  assert.fail(`the terminal has not written ${file}`);
}

async function launch(page, category, text) {
  const launcher = page.locator('.jp-Launcher:visible');
  if ((await launcher.count()) === 0) await page.keyboard.press('Control+Shift+L');
  await launcher.first().waitFor({ timeout: patience });
  const card = launcher.first().locator(`.jp-LauncherCard[data-category="${category}"]`, text ? { hasText: text } : {});
  await card.first().click();
}
