/** --kind: kinds of events by name. */
import { Trouble } from '../base/trouble.js';
import { KIND, KIND_NAMES, type KindName } from '../events/kinds.js';

/** The numbers of kinds given as `pte,call`. @throws Trouble on one that does not exist */
export const kindsArgument = (list: string): ReadonlySet<number> =>
  new Set(
    list.split(',').map(name => {
      const n = Object.hasOwn(KIND, name) ? KIND[name as KindName] : undefined;
      if (n === undefined) throw new Trouble(`no kind of event is called ${name}; there are ${KIND_NAMES.join(', ')}`);
      return n;
    }),
  );
