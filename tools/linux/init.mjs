// The initramfs of the demo: busybox, and an init that prints a marker, runs twenty processes, prints another and powers
// off. What is counted of a boot is counted between the markers.
import { device, dir, file, link } from './cpio.mjs';

export const MARKERS = { ready: 'rewalk: ready', done: 'rewalk: done' };

const script = programs => `#!/bin/sh
mount -t proc proc /proc
echo '${MARKERS.ready}'
n=0
while [ $n -lt 20 ]; do
  /bin/busybox true
  n=$((n + 1))
done
echo '${MARKERS.done}'
${programs.map(({ name }) => `/bin/${name}\n`).join('')}poweroff -f
`;

/**
 * The files of the initramfs around a static busybox.
 * @param programs what else is run, behind the second marker: {name, data} of static programs
 */
export const INIT = (busybox, programs = []) => [
  dir('bin'),
  dir('dev'),
  dir('proc'),
  device('dev/console', 5, 1),
  device('dev/null', 1, 3),
  file('bin/busybox', busybox),
  ...['sh', 'mount', 'echo', 'poweroff'].map(name => link(`bin/${name}`, 'busybox')),
  ...programs.map(({ name, data }) => file(`bin/${name}`, data)),
  file('init', script(programs)),
];
