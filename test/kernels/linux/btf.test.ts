import { describe, expect, it } from 'vitest';
import { Btf } from '../../../src/kernels/linux/btf.js';

const KIND = { int: 1, pointer: 2, array: 3, struct: 4, union: 5, enum: 6, typedef: 8, const: 10, float: 16 } as const;

/** Writes type information as pahole does. Types are numbered from 1. */
class Writer {
  private readonly types: Buffer[] = [];
  private text = '\0';

  name(text: string): number {
    const at = this.text.length;
    this.text += `${text}\0`;
    return text === '' ? 0 : at;
  }
  type(name: string, kind: number, sizeOrType: number, tail: readonly number[] = [], vlen = 0, flag = 0): number {
    const words = [this.name(name), ((flag << 31) | (kind << 24) | vlen) >>> 0, sizeOrType, ...tail];
    const bytes = Buffer.alloc(4 * words.length);
    words.forEach((word, n) => {
      bytes.writeUInt32LE(word, 4 * n);
    });
    this.types.push(bytes);
    return this.types.length;
  }
  struct(name: string, kind: number, members: readonly (readonly [string, number, number])[], flag = 0): number {
    const tail = members.flatMap(([member, type, bits]) => [this.name(member), type, bits]);
    return this.type(name, kind, 64, tail, members.length, flag);
  }
  bytes(): Buffer {
    const types = Buffer.concat(this.types);
    const header = Buffer.alloc(24);
    header.writeUInt16LE(0xeb9f, 0);
    header[2] = 1;
    [24, 0, types.length, types.length, this.text.length].forEach((word, n) => {
      header.writeUInt32LE(word, 4 + 4 * n);
    });
    return Buffer.concat([header, types, Buffer.from(this.text, 'latin1')]);
  }
}
function kernel(): Buffer {
  const w = new Writer();
  const int = w.type('int', KIND.int, 4, [0x100_0020]);
  w.type('', KIND.array, 0, [int, int, 16]);
  w.type('state', KIND.enum, 4, [w.name('RUNNING'), 0], 1);
  w.type('double', KIND.float, 8);
  const inner = w.struct('', KIND.union, [
    ['pid', int, 0],
    ['other_pid', int, 0],
  ]);
  const named = w.type('anonymous_t', KIND.typedef, inner);
  const constant = w.type('', KIND.const, named);
  w.struct('decoy', KIND.struct, [['pid', int, 8 * 4]]);
  w.struct('task_struct', KIND.struct, [
    ['stack', int, 8 * 32],
    ['', constant, 8 * 2416],
    ['comm', int, 8 * 2976],
  ]);
  w.struct('flagged', KIND.struct, [['third', int, (3 << 24) | (8 * 12)]], 1);
  return w.bytes();
}

describe('type information of a kernel', () => {
  it('says where a member is, also inside what has no name, behind typedef and const', () => {
    const btf = Btf.of(kernel())!;
    expect(btf.offsetOf('task_struct', 'stack')).toBe(32);
    expect(btf.offsetOf('task_struct', 'comm')).toBe(2976);
    expect(btf.offsetOf('task_struct', 'pid')).toBe(2416);
    expect(btf.offsetOf('task_struct', 'other_pid')).toBe(2416);
    expect(btf.offsetOf('decoy', 'pid')).toBe(4);
    expect(btf.offsetOf('flagged', 'third')).toBe(12);
  });
  it('says nothing of what is not there', () => {
    const btf = Btf.of(kernel())!;
    expect(btf.offsetOf('task_struct', 'nothing')).toBeUndefined();
    expect(btf.offsetOf('nothing', 'pid')).toBeUndefined();
    expect(btf.offsetOf('int', 'pid')).toBeUndefined();
  });
  it('that is torn is none, or answers without harm', () => {
    const whole = kernel();
    for (let cut = 0; cut < whole.length; cut++) Btf.of(whole.subarray(0, cut))?.offsetOf('task_struct', 'pid');
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole);
      changed[at]! ^= 0xff;
      const offset = Btf.of(changed)?.offsetOf('task_struct', 'pid');
      expect(offset === undefined || offset >= 0).toBe(true);
    }
    expect(Btf.of(Buffer.from('not this'))).toBeUndefined();
  });
});
