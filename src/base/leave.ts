/**
 * The end of a process, or of a worker in it. Node waits there for the threads that compile; one of those, if the heap is
 * full, waits for a collection, which only the thread that ends can do; and then neither does (nodejs/node#54918). On two
 * busy cores that was one command in twenty-five.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Collects garbage, the last thing a thread does, so that nobody waits for room from then on. Some five milliseconds. */
export function leaveRoom(): void {
  if (left) return;
  left = true;
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
let left = false;
