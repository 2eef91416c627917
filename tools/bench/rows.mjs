/** What every benchmark yields. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** @param {string} target such as "<= 16"; none if empty */
export const row = (name, value, unit, target = '') => ({ name, value, unit, target });

/** How fast this machine is just now, to judge times by: sha-256 of 256 MiB. */
export function calibration() {
  const data = Buffer.alloc(1 << 20, 7);
  const began = performance.now();
  const h = createHash('sha256');
  for (let i = 0; i < 256; i++) h.update(data);
  h.digest();
  return row('calibration', (256 * (1 << 20)) / 1e6 / ((performance.now() - began) / 1000), 'MB/s sha256');
}

const PAGE = 4096;
const PAGES = 1 << 16;
/**
 * What else times depend on, and sha-256 does not show: how long a page of memory takes when it is first touched, which is
 * ten times as much where a host has taken it back, and an empty process of Node. Asked last: afterwards there are pages.
 */
export function* surroundings() {
  const bytes = new Uint8Array(PAGES * PAGE);
  const began = performance.now();
  for (let n = 0; n < PAGES; n++) bytes[n * PAGE] = 1;
  yield row('calibration_page_ns', ((performance.now() - began) * 1e6) / PAGES, 'ns');
  const starts = Array.from({ length: 9 }, () => {
    const start = performance.now();
    spawnSync(process.execPath, ['-e', '0']);
    return performance.now() - start;
  });
  yield row('calibration_node_ms', starts.sort((a, b) => a - b)[4], 'ms');
}

/** The most memory this process ever held, in MB. Not maxRSS of getrusage(2), which begins with what the parent held. */
export function peakMb() {
  const kib = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return Number(kib) / 1024;
}
