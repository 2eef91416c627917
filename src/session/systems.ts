/** The systems that can run: one line each. */
import { Trouble } from '../base/trouble.js';
import type { SystemModel } from '../machine/system.js';
import { BARE } from '../systems/bare/model/index.js';
import { XEN } from '../systems/xen/model/index.js';
import type { SystemName } from './may-rerun.js';

const MODELS: Readonly<Record<SystemName, SystemModel>> = { bare: BARE, xen: XEN };
export const SYSTEMS: readonly SystemModel[] = Object.values(MODELS);

/** @throws Trouble naming the systems there are */
export function systemOf(id: string): SystemModel {
  const found = SYSTEMS.find(s => s.id === id);
  if (!found) throw new Trouble(`no system is called ${id}; there is ${SYSTEMS.map(s => s.id).join(', ')}`);
  return found;
}
