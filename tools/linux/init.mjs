// The initramfs of the demo: busybox, and an init that prints a marker, runs twenty processes, prints another and powers
// off. What is counted of a boot is counted between the markers. Another one has a shell on the console to type into.
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

/** Programs of busybox that the shell finds. */
const COMMANDS = [
  'sh',
  'mount',
  'echo',
  'poweroff',
  'setsid',
  'cttyhack',
  'ls',
  'cat',
  'sleep',
  'ps',
  'vi',
  'top',
  'free',
].concat(['dmesg', 'grep', 'head', 'mknod', 'mkdir', 'rm', 'stty', 'uname', 'uptime', 'yes', 'clear', 'kill', 'dd']);
const shell = `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
export PS1='# ' TERM=xterm
setsid cttyhack sh
poweroff -f
`;
/** The files of an initramfs with a shell on the console; leaving it powers off. */
export const SHELL = busybox => [
  ...['bin', 'dev', 'proc', 'sys'].map(dir),
  device('dev/console', 5, 1),
  device('dev/null', 1, 3),
  file('bin/busybox', busybox),
  ...COMMANDS.map(name => link(`bin/${name}`, 'busybox')),
  file('init', shell),
];
