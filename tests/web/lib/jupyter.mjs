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
  // The kernel's name is known once it has been chosen.
  await notebook.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').waitFor({ timeout: patience });
  const output = notebook.locator('.jp-OutputArea-output').first();
  const until = Date.now() + patience;
  // Lab moves the focus about while it opens: what was typed into nothing is typed again.
  while (Date.now() < until) {
    await cell.click();
    await page.keyboard.press('Control+A');
    await page.keyboard.insertText(code);
    await page.keyboard.press('Control+Enter');
    if (await output.waitFor({ timeout: 10_000 }).then(() => true, () => false)) return (await output.innerText()).trim();
  }
  assert.fail(`the cell «${code}» has printed nothing`);
}

/** Runs a command in a terminal. What it draws is no text, so the command leaves a file, and that is read. */
export async function runInTerminal(page, command, file) {
  await launch(page, 'Other', 'Terminal');
  const terminal = page.locator('.jp-Terminal:not(.lm-mod-hidden) .xterm-helper-textarea');
  await terminal.waitFor({ state: 'attached', timeout: patience });
  const until = Date.now() + patience;
  // What is typed before its shell has begun may be lost: then it is typed again.
  while (Date.now() < until) {
    await page.waitForTimeout(1000);
    await terminal.focus();
    await page.keyboard.type(`${command} > ${file}`);
    await page.keyboard.press('Enter');
    for (const again = Date.now() + 10_000; Date.now() < again; await page.waitForTimeout(500)) {
      const content = await page.evaluate(async (path) => {
        const response = await fetch(`/api/contents/${path}?content=1`);
        return response.ok ? (await response.json()).content : undefined;
      }, file);
      if (content) return content.trim();
    }
  }
  assert.fail(`the terminal has not written ${file}`);
}

async function launch(page, category, text) {
  const launcher = page.locator('.jp-Launcher:visible');
  const shown = await launcher.first().waitFor({ timeout: 5000 }).then(() => true, () => false);
  if (!shown) await page.locator('.lm-TabBar-addButton:visible').first().click();
  await launcher.first().waitFor({ timeout: patience });
  const card = launcher.first().locator(`.jp-LauncherCard[data-category="${category}"]`, text ? { hasText: text } : {});
  await card.first().click();
}
