/** Makes the payloads of segments, for those who write. */
import type { Lexicon } from '../../events/lexicon.js';
import type { Header } from '../source.js';
import { Builder } from './build.js';
import type { IndexBuilder } from './contract.js';
import { encodeKeyframe } from './keyframe-encode.js';

class SegmentBuilder extends Builder implements IndexBuilder {
  finish(): { index: Uint8Array; keyframe: Uint8Array } {
    const { index, parts } = this.take();
    return { index, keyframe: encodeKeyframe(parts) };
  }
}
export const createIndexBuilder = (header: Pick<Header, 'isa' | 'vcpus'>, lexicon: Lexicon): IndexBuilder =>
  new SegmentBuilder(header, lexicon);
