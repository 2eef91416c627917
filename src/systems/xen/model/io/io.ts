/** What a running domain has of Xen besides memory and processor: ports, the timer, two devices. Plain data, kept with checkpoints. */
import type { Page } from './devices.js';
import type { Ports } from './evtchn.js';
import type { Fifo } from './fifo.js';
import type { Grants } from './grants.js';
import type { Store } from './xenstore.js';

export interface Io {
  readonly ports: Ports;
  /** The domain changed to the FIFO form. */
  fifo?: Fifo | undefined;
  /** Its grant table, once it asked for one. */
  grants?: Grants | undefined;
  /** A page whose bits say which physical interrupts want an end-of-interrupt; there are no such interrupts. */
  eoiMap?: number | undefined;
  /** The tick at which the timer rings. */
  timer: number | undefined;
  /** Byte address of the vcpu's part: in the shared page, until the guest has moved it. */
  vcpuInfoAt: number;
  vcpuInfoMoved: boolean;
  /** Where the guest reads its run states, a virtual address. */
  runstateAt: bigint | undefined;
  /** Ticks spent waiting, and the tick since which it runs again. */
  blocked: number;
  runningSince: number;
  readonly console: Page;
  readonly xenstore: Page;
  readonly store: Store;
  /** What is still to be typed into the console: a line whenever the guest waits. */
  typing: string;
}

/**
 * @param sharedInfo byte address of the shared page
 * @param typing what is typed into the console, one character a byte
 */
export const newIo = (sharedInfo: number, console: Page, xenstore: Page, typing: string): Io => ({
  ports: new Map([
    [xenstore.port, { state: 'interdomain', remote: 0, device: 'xenstore' }],
    [console.port, { state: 'interdomain', remote: 0, device: 'console' }],
  ]),
  timer: undefined,
  vcpuInfoAt: sharedInfo,
  vcpuInfoMoved: false,
  runstateAt: undefined,
  blocked: 0,
  runningSince: 0,
  console,
  xenstore,
  store: { input: '', output: '' },
  typing,
});
