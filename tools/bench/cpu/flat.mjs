/**
 * Generates C code like that of a kernel: thousands of functions that run seldom, each a few dozen instructions with
 * branches, table accesses and calls of others, called in no order. The same text every time.
 */

/** @param {number} functions how many */
export function flatProgram(functions) {
  let state = 0x2545f491;
  const below = limit => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
  const of = items => items[below(items.length)];
  const v = () => of(['a', 'b', 'c', 'd']);
  const statement = () => {
    const [x, y, z] = [v(), v(), v()];
    return of([
      () => `${x} += ${y} ^ (${z} >> ${1 + below(40)});`,
      () => `${x} ^= ${y} * ${1 + 2 * below(1000)}ul;`,
      () => `${x} = (${x} << ${1 + below(20)}) | (${y} & ${below(4096)});`,
      () => `${x} += table[(${y} >> ${below(30)}) & 4095];`,
      () => `table[(${x} + ${below(4096)}) & 4095] += (u32)${y};`,
      () => `if (${x} & ${1 << below(12)}) ${y} -= ${z}; else ${z} += ${below(255)};`,
      () => `if ((u32)${x} < (u32)${y}) { ${z} ^= ${x}; ${x}++; }`,
      () => `bytes[${x} & 8191] = (u8)${y};`,
      () => `${x} -= bytes[(${y} >> 3) & 8191];`,
      () => `switch (${x} & 3) { case 0: ${y}++; break; case 1: ${z} ^= 5; break; case 2: ${y} -= ${z}; }`,
    ])();
  };
  const lines = ['#include "programs.h"', 'static u64 table[4096];', 'static u8 bytes[8192];'];
  for (let n = 0; n < functions; n++) lines.push(`static u64 f${n}(u64, u64);`);
  for (let n = 0; n < functions; n++) {
    const body = Array.from({ length: 9 }, statement);
    // Calls go to higher numbers only, so they end.
    if (n < functions - 1) {
      const callee = Math.min(functions - 1, n + 1 + below(400));
      body.splice(below(9), 0, `if (a & ${1 << below(6)}) b += f${callee}(c, a);`);
    }
    lines.push(
      `static __attribute__((noinline)) u64 f${n}(u64 a, u64 b) { u64 c = a >> ${1 + below(8)}, d = ${below(10000)}; ${body.join(' ')} return a + (b ^ c) + d; }`,
    );
  }
  lines.push(`static u64 (*const functions[])(u64, u64) = {${Array.from({ length: functions }, (_, n) => `f${n}`)}};`);
  lines.push(`u64 run_flat(u64 n) {
    u64 sum = 0, x = 1;
    for (int i = 0; i < 4096; i++) table[i] = mixed((u64)i);
    for (int i = 0; i < 8192; i++) bytes[i] = (u8)mixed((u64)i);
    for (u64 i = 0; i < n; i++) { x = mixed(x + i); sum = sum * 31 + functions[(x >> 20) % ${functions}](x, sum); }
    return sum;
  }`);
  return `${lines.join('\n')}\n`;
}
