/**
 * Instructions for people: Intel syntax by iced-x86, with the names of branch targets and rip-relative memory. Only views
 * read this; what executes is decided by machine/x86, which may know fewer instructions.
 */
import { createRequire } from 'node:module';
import type { Formatter, Instruction } from 'iced-x86';
import { asVaddr, type Vaddr } from '../base/brand.js';
import { hex } from '../base/u64.js';

type Iced = typeof import('iced-x86');

export interface Line {
  readonly at: Vaddr;
  readonly bytes: Uint8Array;
  /** `mov rax, [init_mm+0x50]`; `(bad)` for a byte no instruction begins with, `(cut off)` where the bytes end inside one. */
  readonly text: string;
}
/** The name of an address, with its offset if it has one: `do_fork+0x12`. */
export type SymbolAt = (at: Vaddr) => string | undefined;

/** Loaded by the first use: its WebAssembly takes longer than most commands that never disassemble. */
let loaded: Iced | undefined;
const iced = (): Iced => (loaded ??= createRequire(import.meta.url)('iced-x86') as Iced);

function formatterOf({ Formatter, FormatterSyntax, MemorySizeOptions }: Iced): Formatter {
  const formatter = new Formatter(FormatterSyntax.Intel);
  formatter.hexPrefix = '0x';
  formatter.hexSuffix = '';
  formatter.uppercaseHex = false;
  formatter.addLeadingZeroToHexNumbers = false;
  formatter.branchLeadingZeros = false;
  formatter.spaceAfterOperandSeparator = true;
  formatter.showBranchSize = false;
  formatter.memorySizeOptions = MemorySizeOptions.Minimal;
  return formatter;
}

/** One instruction; iced's JavaScript binding has no symbol resolver, so operands are put together here. */
function textOf({ OpKind }: Iced, formatter: Formatter, instruction: Instruction, symbolAt: SymbolAt): string {
  const mnemonic = formatter.formatMnemonic(instruction);
  const operands: string[] = [];
  for (let n = 0; n < formatter.operandCount(instruction); n++) {
    const text = formatter.formatOperand(instruction, n);
    const number = formatter.getInstructionOperand(instruction, n);
    const kind = number === undefined ? undefined : instruction.opKind(number);
    if (kind === OpKind.NearBranch64 || kind === OpKind.NearBranch32 || kind === OpKind.NearBranch16) {
      const target = asVaddr(instruction.nearBranchTarget);
      operands.push(symbolAt(target) ?? `0x${hex(target)}`);
    } else if (kind === OpKind.Memory && instruction.isIpRelMemoryOperand) {
      // iced writes the address it computed: [0xffffffff82a10050]
      const symbol = symbolAt(asVaddr(instruction.ipRelMemoryAddress));
      operands.push(symbol === undefined ? text : text.replace(/\[.*\]/, () => `[${symbol}]`));
    } else {
      operands.push(text);
    }
  }
  return operands.length ? `${mnemonic} ${operands.join(', ')}` : mnemonic;
}

/**
 * Disassembles all of `bytes`, which are at address `at`, in 64-bit mode.
 * @param symbolAt names branch targets and rip-relative memory; without it, or where it knows none, addresses are hex.
 * @returns one line an instruction, without gaps: the lines' bytes together are `bytes`.
 */
export function disassemble(bytes: Uint8Array, at: Vaddr, symbolAt: SymbolAt = () => undefined): Line[] {
  const x86 = iced();
  const formatter = formatterOf(x86);
  const decoder = new x86.Decoder(64, bytes, x86.DecoderOptions.None);
  const instruction = new x86.Instruction();
  try {
    const lines: Line[] = [];
    let pos = 0;
    while (pos < bytes.length) {
      const here = asVaddr(at + BigInt(pos));
      decoder.position = pos;
      decoder.ip = here;
      decoder.decodeOut(instruction);
      const isCutOff = decoder.lastError === x86.DecoderError.NoMoreBytes;
      const length = isCutOff ? bytes.length - pos : instruction.isInvalid ? 1 : instruction.length;
      const text = isCutOff
        ? '(cut off)'
        : instruction.isInvalid
          ? '(bad)'
          : textOf(x86, formatter, instruction, symbolAt);
      lines.push({ at: here, bytes: bytes.subarray(pos, pos + length), text });
      pos += length;
    }
    return lines;
  } finally {
    instruction.free();
    decoder.free();
    formatter.free();
  }
}
