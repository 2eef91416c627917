// Writes a recording until it is killed, and tells after each chunk how many events were put. Needs dist (npm test builds it).
import { writeSync } from 'node:fs';
import { KIND } from '../../dist/events/kinds.js';
import { createRecording } from '../../dist/recording/writer.js';
import { generate, HEADER, LEXICON } from '../../tools/bench/generate.mjs';

const [path, thread] = process.argv.slice(2);
const recorder = createRecording(path, HEADER, { thread: thread === 'true' });
recorder.lexicon(LEXICON);
const { open } = recorder.log;
recorder.log.open = (...args) => {
  if (recorder.log.seq % 16_384 === 0) writeSync(1, `${recorder.log.seq}\n`);
  return open.apply(recorder.log, args);
};
generate(recorder.log, KIND, { events: Number.POSITIVE_INFINITY, seed: 1 });
