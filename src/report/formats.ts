/** The formats by name; each turns a report into lines. */
import { github } from './github.js';
import { json } from './json.js';
import { junit } from './junit.js';
import { markdown } from './markdown.js';
import type { Report } from './model.js';
import { sarif } from './sarif.js';

export const FORMATS: Readonly<Record<'json' | 'markdown' | 'github' | 'junit' | 'sarif', (r: Report) => string[]>> = {
  json,
  markdown,
  github,
  junit,
  sarif,
};
export type Format = keyof typeof FORMATS;
