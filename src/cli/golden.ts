/**
 * Golden recordings: what a guest did when somebody last looked and found it right. A new run is compared with it, and where
 * it differs lies beside it as FILE.new until somebody accepts it. Nothing overwrites a golden recording but `rewalk accept`.
 */
import { existsSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { reasonOf, Trouble } from '../base/trouble.js';
import { compareRecordings } from '../compare/recordings.js';
import { NOTHING_IGNORED } from '../compare/side.js';
import { openRecording } from '../recording/reader.js';
import { diffReport } from '../report/diff.js';
import { digestOf } from '../report/digest.js';
import { text } from '../report/text.js';
import { out, paint } from './output.js';
import { work } from './session.js';

export const goldenIn = (dir: string, guest: string): string => join(dir, `${guest}.rewalk`);
export const newOf = (golden: string): string => `${golden}.new`;
const digestFile = (recording: string): string => recording.replace(/\.rewalk(\.new)?$/, '.txt$1');

function writeDigest(recording: string): void {
  const source = openRecording(recording);
  try {
    writeFileSync(digestFile(recording), [...digestOf(source)].join(''));
  } finally {
    source.close();
  }
}

/**
 * Compares the run recorded in newOf(golden) with the golden one.
 * @returns 0 the same (the new one is gone), 1 different or new (it stays, with its digest, and how to accept it is said)
 */
export async function compareGolden(golden: string): Promise<number> {
  const fresh = newOf(golden);
  const accept = `rewalk accept ${golden}`;
  if (!existsSync(golden)) {
    writeDigest(fresh);
    process.stderr.write(`rewalk: ${golden}: there is no such recording yet; ${fresh} can be it: ${accept}\n`);
    return 1;
  }
  const [a, b] = [openRecording(golden), openRecording(fresh)];
  let same: boolean;
  try {
    same = a.chain === b.chain;
    if (!same) {
      const found = await work('comparing', compareRecordings(a, b));
      const report = await work('reporting', diffReport(a, b, found, { context: 3, ignored: NOTHING_IGNORED }));
      for (const line of text(report, paint)) out(line);
      if (report.findings.length === 0)
        out('what differs is in what comparisons pass over: frames, ticks, registers, where functions lie');
    }
  } finally {
    a.close();
    b.close();
  }
  if (same) {
    rmSync(fresh);
    rmSync(digestFile(fresh), { force: true });
    return 0;
  }
  writeDigest(fresh);
  process.stderr.write(`rewalk: ${golden}: differs; if that is meant: ${accept}\n`);
  return 1;
}

/** The recordings that wait to be accepted: a golden file's own, or all in a folder. */
export function waiting(path: string): string[] {
  if (path.endsWith('.new')) return waiting(path.slice(0, -4));
  if (existsSync(path) && statSync(path).isDirectory())
    return readdirSync(path)
      .filter(f => f.endsWith('.rewalk.new'))
      .map(f => join(path, f.slice(0, -4)));
  return existsSync(newOf(path)) ? [path] : [];
}
/** Puts the new recording and its digest in the place of the golden ones. */
export function acceptGolden(golden: string): void {
  try {
    renameSync(newOf(golden), golden);
    const digest = digestFile(newOf(golden));
    if (existsSync(digest)) renameSync(digest, digestFile(golden));
  } catch (error) {
    throw new Trouble(`${golden}: ${reasonOf(error)}`);
  }
}
