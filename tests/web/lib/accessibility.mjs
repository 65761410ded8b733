import assert from 'node:assert/strict';
import axe from 'axe-core';

const languages = [
  { button: '中文', lang: 'zh-CN' },
  { button: 'English', lang: 'en' },
];

/** The page as it is now, in both languages and both colour schemes, by axe-core's rules for WCAG 2.2 AA and its best practices. */
export async function assertAccessible(page, what) {
  for (const { button, lang } of languages) {
    await page.locator('.language-switch').getByRole('button', { name: button }).click();
    await assertLanguage(page, lang, what);
    await assertSchemes(page, `${what} (${lang})`);
  }
}

/** For a state that a click on the language would end, an open dialog say. */
export async function assertAccessibleAsItIs(page, what) {
  await assertSchemes(page, what);
}

async function assertLanguage(page, lang, what) {
  assert.equal(await page.evaluate(() => document.documentElement.lang), lang, `${what}: lang`);
  assert.match(await page.title(), / · open-hydra$/, `${what}: title`);
  const heading = await page.locator('h1').innerText();
  assert.equal(/\p{Script=Han}/u.test(heading), lang === 'zh-CN', `${what}: heading «${heading}» in ${lang}`);
}

async function assertSchemes(page, what) {
  // A page behind another takes its time to change its colours.
  await page.bringToFront();
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.waitForTimeout(250);
    const found = await violations(page);
    assert.deepEqual(found, [], `${what}, ${colorScheme}`);
  }
}

async function violations(page) {
  // By the debugger, since the page's policy forbids foreign scripts.
  await page.evaluate(axe.source);
  const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
  const { violations: list } = await page.evaluate((values) => window.axe.run(document, { runOnly: { type: 'tag', values } }), tags);
  return list.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map((node) => `${node.target.join(' ')}: ${node.failureSummary}`) }));
}
