/**
 * The messages by which Xen refuses, and ends, a PV guest: what each means and what has been known to cause it. Patterns
 * hold for the versions of ten years; texts follow stable-4.1 and stable-4.17, the files named at each group.
 *
 * Named groups of a pattern are what `explain` takes apart: saw, exp, taf (type words), flags, mfn, pfn, entry, error.
 */
export interface Message {
  readonly id: string;
  readonly pattern: RegExp;
  readonly means: string;
  readonly causes: readonly string[];
  /** Built-in guest that shows it. */
  readonly guest?: string;
}

const HEX = '(?:0x)?[0-9a-f]+';

export const MESSAGES: readonly Message[] = [
  // mm.c: get_page_type, get_page_from_l1e, alloc_*/promote_*
  {
    id: 'bad-type',
    pattern: new RegExp(
      `Bad type \\(saw (?<saw>${HEX}) != exp (?<exp>${HEX})\\) for mfn (?<mfn>${HEX}) \\(pfn (?<pfn>${HEX})\\)`,
      'i',
    ),
    means:
      'Somebody asked for a reference that needs the frame to have one type, while live references hold it at another. A frame changes its type only when its type count is zero.',
    causes: [
      'A frame becomes a page table while a writable mapping of it is left somewhere: in the direct mapping, a fixmap, an alias of a vmalloc area.',
      'A frame that is still pinned, or still part of a live table, is mapped writable: freed before it was unpinned, or reused too early.',
      'Page-table memory was reserved, mapped writable with the rest, and only later used for a table (the early page tables of Linux 2.6.39).',
    ],
    guest: 'xen/early-pagetable-crash',
  },
  {
    id: 'pin-failed',
    pattern: new RegExp(`Error (?:(?<error>-?\\d+) )?while pinning mfn (?<mfn>${HEX})`, 'i'),
    means:
      'MMUEXT_PIN_Ln_TABLE was refused: the frame could not become a validated table of that level. The line before it says which entry or which type was the reason.',
    causes: [
      'The frame itself is mapped writable (see Bad type).',
      'One of the entries of the table, or of a table below, is not allowed: maps a page table writable, a foreign frame, or has flags Xen keeps for itself.',
      'A failed pin does not end the domain: the guest sees the error, and Linux answers with BUG().',
    ],
    guest: 'xen/early-pagetable-crash',
  },
  {
    id: 'no-mfn-for-l1',
    pattern: new RegExp(
      `Error getting mfn (?<mfn>${HEX}) \\(pfn (?<pfn>${HEX})\\) from L1 entry (?<entry>${HEX}) for l1e_owner(?:=| d)(?<owner>-?\\d+), pg_owner(?:=| d)(?<pgowner>-?\\d+)`,
      'i',
    ),
    means:
      'An L1 entry could not take its reference to the frame it maps: the frame does not exist, is not the owner’s, or is not writable while the entry asks for a writable mapping.',
    causes: [
      'The entry was made from a pfn where an mfn was meant, or the other way round.',
      'The frame was given back to Xen (ballooned out) or its grant was unmapped, while an entry for it was still built.',
      'A writable entry for a frame that is a page table (then Bad type comes before it).',
    ],
    guest: 'xen/early-pagetable-crash',
  },
  {
    id: 'no-writable-type',
    pattern: /Could not get page type PGT_writable_page/i,
    means: 'A writable mapping was asked for, and the frame holds another type: nearly always it is a page table.',
    causes: ['As of Bad type, seen from the mapping’s side.'],
    guest: 'xen/early-pagetable-crash',
  },
  {
    id: 'pg-owner',
    pattern: /pg_owner d(?<pgowner>-?\d+) l1e_owner d(?<owner>-?\d+), but real_pg_owner d(?<real>-?\d+)/i,
    means:
      'An entry maps a frame that belongs to neither the domain of the table nor the domain it was said to be of. -1 means that nobody owns the frame.',
    causes: [
      'A foreign mapping of a frame that its owner gave up meanwhile.',
      'A stale mfn, kept after the frame was exchanged or ballooned out.',
    ],
  },
  {
    id: 'no-page',
    pattern: new RegExp(
      `Could not get page ref for [mp]fn (?<mfn>${HEX})|Error [mp]fn (?<m>${HEX}): rd=\\w+,? od=\\w+,? caf=(?<caf>${HEX}),? taf=(?<taf>${HEX})`,
      'i',
    ),
    means: 'The frame does not exist or is not the domain’s own (rd asked, od owns).',
    causes: ['A pfn where an mfn was meant.', 'The frame was ballooned out or exchanged.'],
  },
  {
    id: 'validate-failed',
    pattern: new RegExp(
      `Error while validating mfn (?<mfn>${HEX}) \\(pfn (?<pfn>${HEX})\\) for type (?<exp>${HEX}): caf=(?<caf>${HEX}) taf=(?<taf>${HEX})`,
      'i',
    ),
    means:
      'The frame had no other type, but what is in it is no valid table of the level asked for. Entries before the bad one were undone.',
    causes: [
      'An entry of it was refused: the line before names the slot.',
      'Memory that was never cleared is used as a table.',
    ],
  },
  {
    id: 'entry-failed',
    pattern:
      /Failure (?:(?<error>-?\d+) )?in (?:alloc|promote)_l(?<level>[1-4])_table: (?:entry (?<slot>\d+)|slot (?<slotx>0x[0-9a-f]+))/i,
    means: 'Validating a table stopped at this entry of it.',
    causes: ['The reason is in the line before it.'],
  },
  {
    id: 'bad-flags',
    pattern: /Bad L(?<level>[1-4]) flags (?<flags>[0-9a-f]+)/i,
    means: 'An entry has flags that a guest may not set at this level. Only the refused ones are printed.',
    causes: [
      'NX (800000) on a processor or under a hypervisor that has it off.',
      'A large page (80 in L2 or L3): PV guests have none.',
      'An entry that was never an entry: memory that was not cleared, or a software format (swap entry) with the present bit set.',
    ],
  },
  {
    id: 'linear-table',
    pattern: /Attempt to create linear p\.t\.(?: with write perms| \(feature disabled\))/i,
    means:
      'A table was entered into a table of the same level. That is allowed read-only, and only where Xen was built with it.',
    causes: [
      'A level was mixed up: a table entered one level too high.',
      'A recursive (linear) mapping, as some small kernels use.',
    ],
  },
  {
    id: 'granted-pte',
    pattern: new RegExp(`Attempt to implicitly unmap (?:a granted|d\\S+'s grant) PTE (?<entry>${HEX})`, 'i'),
    means:
      'An entry that maps a grant was overwritten by an ordinary store or update. Grant mappings end by GNTTABOP_unmap only. Xen 4.1 ends the domain; later ones inject #GP.',
    causes: [
      'munmap or exit of a process that maps grants (a backend’s gntdev) without the unmap notifier having run.',
      'A page that is both granted and moved: compaction, huge-page splitting, NUMA balancing.',
    ],
  },
  {
    id: 'l1tf',
    pattern: new RegExp(`L1TF-vulnerable L(?<level>[1-4])e (?<entry>${HEX}) - (?<what>Shadowing|Crashing)`, 'i'),
    means:
      'A not-present entry holds address bits that a processor with L1TF could load from its cache. Xen puts the guest on shadow paging for its rest, or ends it where it has none.',
    causes: [
      'A kernel without the L1TF fixes: swap entries and PROT_NONE pages are not inverted.',
      'Memory used as a table that was not cleared: entries that are anything.',
    ],
  },
  {
    id: 'xen-slot',
    pattern: /(?:Illegal L[2-4] update attempt in Xen-private area|L[2-4] update in Xen-private area, slot)/i,
    means: 'The guest tried to change an entry that is Xen’s own (slots 256 to 271 of an L4).',
    causes: ['A copy of a whole L4, Xen’s slots included.', 'An address between the guest’s and its kernel’s halves.'],
  },
  {
    id: 'not-pinned',
    pattern: new RegExp(`mfn (?<mfn>${HEX}) (?<what>already|not) pinned`, 'i'),
    means: 'Pin and unpin did not alternate.',
    causes: ['A table that was freed twice.', 'A page structure’s pinned flag and Xen’s no longer say the same.'],
    guest: 'xen/user-pagetables-broken',
  },
  {
    id: 'bad-owner',
    pattern: new RegExp(`mfn (?<mfn>${HEX}) (?:bad domain|bad, or bad owner d(?<owner>-?\\d+))`, 'i'),
    means: 'The frame to be unpinned is not the domain’s.',
    causes: ['A pfn where an mfn was meant.', 'A table of another domain.'],
  },
  {
    id: 'baseptr',
    pattern: new RegExp(
      `Error (?:(?<error>-?\\d+) )?(?:while )?installing new (?:compat )?(?<what>baseptr|mfn) (?<mfn>${HEX})`,
      'i',
    ),
    means:
      'A base pointer was refused: the frame could not become (or is not) a validated L4. "mfn" is the user’s base pointer, "baseptr" the kernel’s.',
    causes: ['The L4 is still mapped writable.', 'An entry of a table below it is refused: see the lines before.'],
    guest: 'xen/user-pagetables-broken',
  },
  {
    id: 'type-overflow',
    pattern: new RegExp(`Type count overflow on (?:pfn|mfn) (?<mfn>${HEX})`, 'i'),
    means: 'More references need the frame’s type than the count has bits for.',
    causes: ['A loop that maps the same frame again and again.'],
  },
  {
    id: 'io-space',
    pattern: new RegExp(`attempt(?:ed)? to map (?:I/O|MMIO) space (?<mfn>${HEX})`, 'i'),
    means: 'A domain without the right to it mapped a frame that is no memory.',
    causes: [
      'A pfn where an mfn was meant, beyond the end of memory.',
      'A driver in a domain that was not given the device.',
    ],
  },
  {
    id: 'no-page-for-update',
    pattern: /Could not get page for (?<what>normal|mach->phys) update/i,
    means: 'The address in an mmu_update names no frame of the domain.',
    causes: ['A virtual or guest-physical address where a machine address was meant.'],
  },
  {
    id: 'set-ldt',
    pattern: /Bad args to SET_LDT: ptr=(?<at>[0-9a-f]+), ents=(?<count>[0-9a-f]+)/i,
    means: 'An LDT must begin at a page and have at most 8192 entries.',
    causes: ['modify_ldt of an address that was not aligned.'],
  },
  {
    id: 'superpage',
    pattern:
      /Attempt to map superpage without allowsuperpage|Unaligned superpage (?:map attempt|reference)|Superpages disallowed/i,
    means:
      'A large page in a PV guest. Old versions allowed it where Xen was started with allowsuperpage; later ones never do.',
    causes: ['A kernel that looks for PSE in CPUID and does not ask whether it runs under Xen.'],
  },
  {
    id: 'global-bit',
    pattern: new RegExp(`Global bit is set (?:to|in) kernel page (?<mfn>${HEX})`, 'i'),
    means:
      'An entry of the kernel has the global bit, which under Xen means user memory: kernel mappings must go when user code is entered. The bit is refused or taken away.',
    causes: ['A kernel that sets _PAGE_GLOBAL without looking whether it runs under Xen.'],
  },
  {
    id: 'foreign-domain',
    pattern: /Cannot specify itself as foreign domain|Cannot (?:set|mix) foreign|Unknown domain '?d?\d+/i,
    means:
      'The domain whose memory was named does not exist, may not be named, or is the caller’s own (DOMID_SELF says that).',
    causes: [
      'A domain that is gone.',
      'A domain without privilege that maps another one’s memory other than by grants.',
    ],
  },
  {
    id: 'bad-copy',
    pattern: /Bad __copy_from_guest/i,
    means:
      'The list of requests is not readable at the address that was given (-EFAULT). What came before it in the list was done.',
    causes: [
      'A list that crosses into a page that is not mapped.',
      'A physical or machine address where a virtual one was meant.',
    ],
  },
  {
    id: 'flush-cache',
    pattern: /Non-physdev domain tried to FLUSH_CACHE/i,
    means: 'Only a domain with devices may flush the processor’s caches.',
    causes: ['A driver that runs in a domain without its device.'],
  },
  {
    id: 'clear-copy',
    pattern: new RegExp(`Error (?:while )?(?<what>clearing|copying (?:from|to)) mfn (?<mfn>${HEX})`, 'i'),
    means:
      'The frame to be cleared or copied is not the domain’s, or, as a target, is not writable: it is a page table or descriptor table.',
    causes: ['As of Bad type.'],
  },
  {
    id: 'unknown-command',
    pattern: /Invalid (?:extended pt|page update) command (?<what>\S+)/i,
    means: 'An operation of mmuext_op or a kind of update that this Xen does not know (-ENOSYS).',
    causes: ['A guest that is newer than its Xen, or a list of requests with a wrong stride.'],
  },
  {
    id: 'ptwr',
    pattern:
      /(?:ptwr_emulate: )?(?:bad (?:access|write size|cmpxchg size) \((?:cr2|addr)=|could not get_page_from_l1e\(\)|fixing up invalid PAE PTE)/i,
    means:
      'A store into a live L1 table, which Xen would have carried out for the guest, is none that it can: not aligned, across an entry, or of a value that is refused.',
    causes: [
      'Two 32-bit stores to one entry.',
      'memset or memcpy over a table that is still pinned.',
      'An entry that is refused: see the line before.',
    ],
  },
  {
    id: 'no-memory',
    pattern: /Could not allocate order=(?<order>\d+) extent/i,
    means: 'populate_physmap or increase_reservation got fewer pages than were asked for.',
    causes: ['The domain is at its maximum, or the machine has no more.'],
  },
  // traps.c, pv/traps.c, entry.S, pv/iret.c
  {
    id: 'unhandled-trap',
    pattern:
      /Unhandled (?<what>.+?) fault\/trap \[#(?<vector>\d+)\] on VCPU (?<vcpu>\d+) \[ec=(?<error>[0-9a-f]{4})\]|unhandled page fault \(ec=(?<pf>[0-9A-F]{4})\)|Unhandled: vec (?<vec>\d+), (?<name>[^[]+)\[(?<ec>[0-9a-f]{4})\]/i,
    means:
      'The guest had an exception, and no handler for it was registered with set_trap_table. Xen ends the domain next. The exception is what the guest did last, not what went wrong first.',
    causes: [
      'An invalid opcode (#6): BUG() of a kernel that has not set up its traps yet. What it found is in the lines before.',
      'A page fault (#14) in early boot: an address that is not mapped, or a write to a table or other read-only mapping.',
    ],
    guest: 'xen/early-pagetable-crash',
  },
  {
    id: 'no-user-tables',
    pattern: /Guest switching to user mode with no user page tables/i,
    means:
      'iret was to go to user mode, and no user base pointer was ever loaded for this vcpu. On 64 bit, kernel and user have an L4 each, and MMUEXT_NEW_USER_BASEPTR loads the second.',
    causes: [
      'A path that loads the kernel’s L4 and forgets the user’s.',
      'A process whose user L4 was never attached or never pinned, so that mfn 0 was loaded.',
    ],
    guest: 'xen/user-pagetables-broken',
  },
  {
    id: 'iret-fault',
    pattern: /Fault while reading IRET context from guest stack/i,
    means: 'The frame that the iret hypercall reads from the guest’s stack is not readable.',
    causes: ['A kernel stack whose mapping is gone.', 'A stack pointer that was never set, or is a user’s.'],
  },
  {
    id: 'domain-crash-sync',
    pattern: /domain_crash_sync called from (?<where>\S+)/i,
    means:
      'Xen could not go on delivering an event to the guest: no handler, or the guest’s stack could not take the frame. It ends the domain at once. The register dump after it is where the guest was.',
    causes: ['See the line before; without one the guest’s kernel stack is not mapped, or not writable.'],
    guest: 'xen/early-pagetable-crash',
  },
  {
    id: 'domain-crash',
    pattern: /domain_crash called from (?<where>\S+)/i,
    means: 'A place in Xen decided that the domain cannot go on. The file and line say which.',
    causes: ['The lines before it say why.'],
  },
  {
    id: 'domain-crashed',
    pattern: /Domain (?<domain>\d+) \(vcpu#(?<vcpu>\d+)\) crashed on cpu#\d+/i,
    means: 'The domain was ended; the register dump that follows is where its guest was.',
    causes: ['The lines before it say why.'],
    guest: 'xen/early-pagetable-crash',
  },
  {
    id: 'bad-free',
    pattern: new RegExp(
      `Bad page free for (?:domain \\d+|Dom\\d+ GFN ${HEX})|Domain \\d+ page number (?<mfn>${HEX}) invalid`,
      'i',
    ),
    means: 'A frame that the domain gives back is not its own, or was given back before.',
    causes: ['A balloon driver that lost count.', 'A pfn where an mfn was meant.'],
  },
  {
    id: 'over-allocation',
    pattern: /Over-allocation for (?:domain |d)\d+: \d+ > \d+/i,
    means: 'The domain asked for more pages than its maximum.',
    causes: ['A balloon target above the maximum, often by the few pages that the toolstack keeps.'],
  },
  {
    id: 'page-walk',
    pattern: /Pagetable walk from (?:\S+ )?(?<at>[0-9a-f]+):/i,
    means:
      'The entries that lead to the address that faulted, each with the guest frame it names; the walk ends at the first one that is not present.',
    causes: ['The last entry shown says why: absent, or without the permission that was needed.'],
  },
  {
    id: 'multicall-reentry',
    pattern: /Multicall reentry is disallowed/i,
    means: 'A multicall had a multicall among its entries.',
    causes: ['A queue that was flushed into itself.'],
  },
  {
    id: 'control-register',
    pattern: /Attempt to change unmodifiable CR[04] flags/i,
    means: 'A guest may change few bits of cr0 (TS) and cr4; the others are Xen’s.',
    causes: ['Code that was not made for PV: it turns caches or paging off.'],
  },
  {
    id: 'msr',
    pattern: /faking RDMSR|(?:RD|WR)MSR 0x[0-9a-f]+ (?:val \S+ )?unimplemented|Domain attempted WRMSR/i,
    means: 'A model-specific register that Xen does not show to its guests. The guest gets #GP, or zero.',
    causes: ['Nearly always harmless: kernels try and go on without.'],
  },
];
