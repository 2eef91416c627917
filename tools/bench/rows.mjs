/** What every benchmark yields. */
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

/** The most memory this process ever held, in MB. Not maxRSS of getrusage(2), which begins with what the parent held. */
export function peakMb() {
  const kib = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return Number(kib) / 1024;
}
