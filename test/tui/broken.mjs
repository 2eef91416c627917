// The debugger on a recording that breaks, as only an error of ours could break it, where instructions are shown.
import { openRecording } from '../../dist/recording/reader.js';
import { Notes } from '../../dist/tui/notes.js';
import { openDebugger } from '../../dist/tui/open.js';
import { NOTHING_OUTSIDE } from '../../dist/tui/outside.js';

const [file] = process.argv.slice(2);
const source = openRecording(file);
source.pageHash = () => {
  throw new Error('broken on purpose');
};
try {
  await openDebugger(source, { seq: 100 }, Notes.of(file, source.count), NOTHING_OUTSIDE, { follow: false });
} catch (error) {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 2;
}
