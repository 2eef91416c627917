/** What the engine says went wrong with an access, as the processor's vector and error code. SDM 3A, 4.7 and 6.15. */
import { asVaddr } from '../../base/brand.js';
import type { Exit } from '../engine/exits.js';
import { ACCESS, FAULT } from '../engine/fault.js';

export const VECTOR = {
  divide: 0,
  debug: 1,
  breakpoint: 3,
  overflow: 4,
  invalidOpcode: 6,
  noDevice: 7,
  doubleFault: 8,
  task: 10,
  notPresent: 11,
  stack: 12,
  protection: 13,
  page: 14,
  x87: 16,
  simd: 19,
} as const;

/*
 * Error code of a page fault (SDM 3A, figure 4-12):
 *
 *    4   3    2   1   0
 *   I/D RSVD U/S W/R  P
 */
const PRESENT = 1;
const WRITE = 2;
const USER = 4;
const RESERVED = 8;
const FETCH = 16;

export interface FaultContext {
  readonly user: boolean;
  /** EFER.NXE: only then fetches are told apart. */
  readonly noExecute: boolean;
  /** The faulting instruction addresses memory through rsp or rbp. */
  readonly stack: boolean;
}

/** Vectors that push an error code (SDM 3A, table 6-1). */
const WITH_CODE = new Set([8, 10, 11, 12, 13, 14, 17]);

export function exitOf(kind: number, access: number, detail: bigint, { user, noExecute, stack }: FaultContext): Exit {
  switch (kind) {
    case FAULT.absent:
    case FAULT.denied:
    case FAULT.reserved: {
      const code =
        (kind === FAULT.absent ? 0 : PRESENT) |
        (access === ACCESS.write ? WRITE : 0) |
        (user ? USER : 0) |
        (kind === FAULT.reserved ? RESERVED : 0) |
        (access === ACCESS.fetch && noExecute ? FETCH : 0);
      return { kind: 'trap', trap: { vector: VECTOR.page, code, address: asVaddr(detail), kind: 'fault' } };
    }
    case FAULT.unmeaning:
      return {
        kind: 'trap',
        trap: { vector: stack ? VECTOR.stack : VECTOR.protection, code: 0, address: undefined, kind: 'fault' },
      };
    case FAULT.trap: {
      const vector = Number(detail);
      return {
        kind: 'trap',
        trap: { vector, code: WITH_CODE.has(vector) ? access : undefined, address: undefined, kind: 'fault' },
      };
    }
    case FAULT.bus:
      return { kind: 'bus', address: Number(detail) };
  }
  throw new Error(`internal error: fault kind ${kind}`);
}
