/** Selecting what the cursor of a pane is on. */

import { asVaddr } from '../../base/brand.js';
import { isaOfSource } from '../../state/formats.js';
import { registersShown } from '../panes/registers.js';
import { thingText } from '../thing.js';
import { atOnce, note } from './action.js';
import { goTo } from './move.js';
import { toggleBreak } from './run.js';

export const choose = atOnce((ui, world) => {
  if (ui.focus === 'registers') {
    const shown = registersShown(ui, world);
    const register = shown[Math.min(ui.scroll.registers.cursor, shown.length - 1)];
    if (!register) return note(ui, 'no register is known here');
    const thing = { kind: 'register', number: register.number } as const;
    const registers = isaOfSource(world.source)?.registers ?? [];
    return note({ ...ui, thing }, `selected ${thingText(thing, registers)}: [ and ] go to its writes`);
  }
  if (ui.focus === 'space' && ui.mark === undefined) {
    const [, from] = /^([0-9a-f]{16})/.exec(world.lineUnder('space', ui.scroll.space.cursor)) ?? [];
    const at = from === undefined ? undefined : asVaddr(BigInt(`0x${from}`));
    if (at !== undefined) return { ...ui, expanded: ui.expanded === at ? undefined : at, message: undefined };
  }
  if (ui.focus === 'detail' && ui.topic === 'breaks') {
    const text = ui.breaks[ui.scroll.detail.cursor];
    return text === undefined ? note(ui, 'no break on this line') : toggleBreak(ui, world, text);
  }
  // A line of the other panes names events as #48211: the last of them is the one to go to.
  const text = world.lineUnder(ui.focus, ui.scroll[ui.focus].cursor);
  const event = [...text.matchAll(/#(\d+(?:\.\d+)?)/g)].at(-1);
  return event ? goTo(ui, world, `#${event[1]}`) : note(ui, 'nothing to select on this line');
});
