/** Selecting what the cursor of a pane is on. */

import { isaOfSource } from '../../state/formats.js';
import { registersShown } from '../panes/registers.js';
import { thingText } from '../thing.js';
import { atOnce, note } from './action.js';
import { goTo } from './move.js';

export const choose = atOnce((ui, world) => {
  if (ui.focus === 'registers') {
    const shown = registersShown(ui, world);
    const register = shown[Math.min(ui.scroll.registers.cursor, shown.length - 1)];
    if (!register) return note(ui, 'no register is known here');
    const thing = { kind: 'register', number: register.number } as const;
    const registers = isaOfSource(world.source)?.registers ?? [];
    return note({ ...ui, thing }, `selected ${thingText(thing, registers)}: [ and ] go to its writes`);
  }
  // A line of the other panes names events as #48211: the last of them is the one to go to.
  const text = world.lineUnder(ui.focus, ui.scroll[ui.focus].cursor);
  const event = [...text.matchAll(/#(\d+)/g)].at(-1);
  return event ? goTo(ui, world, `#${event[1]}`) : note(ui, 'nothing to select on this line');
});
