/**
 * What generated code leaves in the control words when an instruction cannot go on. The engine knows why memory said
 * no; the processor (x86/fault.ts) turns that into a vector and an error code. Kind 0 means no fault.
 */
export const FAULT = {
  /** An entry on the way is not present. detail: the virtual address */
  absent: 1,
  /** The translation is there but does not allow this access. detail: the virtual address */
  denied: 2,
  /** An entry has a bit set that must be zero. detail: the virtual address */
  reserved: 3,
  /** The virtual address has no meaning on this processor (not canonical). detail: the virtual address */
  unmeaning: 4,
  /** The physical address has no memory behind it: ends the guest. detail: the physical address */
  bus: 5,
  /** The instruction itself raises a trap. detail: the vector; access: the error code */
  trap: 6,
} as const;

export const ACCESS = { read: 0, write: 1, fetch: 2 } as const;
export type Access = (typeof ACCESS)[keyof typeof ACCESS];
