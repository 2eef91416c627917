/** README has every key of every pane, as the help has it. REWALK_RECORD=1 writes that part of it anew. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { FORMS } from '../../src/tui/breaks.js';
import { BINDINGS } from '../../src/tui/keys.js';

const README = fileURLToPath(new URL('../../README.md', import.meta.url));
const [BEGIN, END] = ['<!-- keys: test/tui/keys.test.ts -->\n', '<!-- end of keys -->'];
const code = (key: string): string => (key === '`' ? '`` ` ``' : `\`${key}\``);
const cell = (text: string): string => text.replaceAll('|', '\\|');

const table = (): string => {
  const rows = BINDINGS.map(
    ({ keys, panes, does }) =>
      `| ${cell(keys.map(code).join(' '))} | ${cell(does)}${panes ? ` (${panes.join(', ')})` : ''} |`,
  );
  const breaks = FORMS.map(({ says }) => {
    const [form, means] = [says.slice(0, says.indexOf(':')), says.slice(says.indexOf(':') + 2)];
    return `- ${code(form)}: ${means}`;
  });
  return ['', '| key | does |', '|---|---|', ...rows, '', 'What `B` can stop at:', '', ...breaks, ''].join('\n');
};

it('README has all keys, and what each does', () => {
  const text = readFileSync(README, 'utf8');
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  expect(begin, 'the part is there').toBeGreaterThan(0);
  if (process.env.REWALK_RECORD) {
    writeFileSync(README, text.slice(0, begin + BEGIN.length) + table() + text.slice(end));
    return;
  }
  expect(text.slice(begin + BEGIN.length, end)).toBe(table());
});
