/**
 * Events kept in memory and told again: what a producer costs that has its numbers at hand, without what it takes to think
 * them up. Playing goes the way of every producer, `log.open` and stores into the open columns, an event at a time.
 */

/** A log's sink that keeps what is in full blocks, and nothing of their empty room: some 40 bytes an event. */
export class Tape {
  /** @param events the modules events/kinds.js, events/schema.js and events/block.js of one build */
  constructor({ KINDS, KIND_NAMES, columnSpecs, Log, BLOCK_BYTES, blockOver }) {
    this.kinds = KIND_NAMES.map(name => ({ name, specs: storedColumns(KINDS[name].fields, columnSpecs) }));
    this.players = this.kinds.map(player);
    this.blocks = [];
    this.log = new Log(
      {
        swap: full => {
          this.blocks.push(this.kept(full));
          return full;
        },
      },
      blockOver(new ArrayBuffer(BLOCK_BYTES)),
    );
  }

  kept({ count, kind, row, ticks, vcpu, back, rows, col }) {
    const parts = this.kinds.map(({ name, specs }, k) => {
      const columns = col[name];
      const items = ends => (rows[k] === 0 ? 0 : ends ? columns[ends][rows[k] - 1] : rows[k]);
      return Object.fromEntries(specs.map(({ name: column, ends }) => [column, columns[column].slice(0, items(ends))]));
    });
    const [kinds, ownRows, times] = [kind, row, ticks].map(column => column.slice(0, count));
    return {
      count,
      kind: kinds,
      row: ownRows,
      ticks: times,
      vcpu: vcpu.slice(0, count),
      back: back.slice(0, count),
      parts,
    };
  }

  /** Tells all events to another log. */
  play(log) {
    for (const block of this.blocks) playBlock(log, block, this.players);
  }
}

function playBlock(log, { count, kind, row, ticks, vcpu, back, parts }, players) {
  for (let i = 0; i < count; i++) {
    const k = kind[i];
    const to = log.open(k, ticks[i], vcpu[i], back[i] === 0 ? -1 : log.seq - back[i]);
    players[k](log.col, to, parts[k], row[i]);
  }
}

/** The columns that an emitter fills; those of a list's items with the column of its ends. */
function storedColumns(fields, columnSpecs) {
  return columnSpecs(fields)
    .filter(({ field }) => fields[field].shape !== 'derived')
    .map(({ name, per, field }) => ({ name, ends: per === 'item' ? `${field}End` : undefined }));
}

/** What an emitter of this kind does: a store for each column, made from the schema. */
function player({ name, specs }) {
  const columns = specs.filter(s => !s.ends && !s.name.endsWith('End'));
  const lists = [...new Set(specs.flatMap(s => s.ends ?? []))];
  const lines = [
    `const c = col.${name};`,
    ...columns.map(s => `c.${s.name}[to] = part.${s.name}[row];`),
    ...lists.flatMap(ends => [
      `{ let at = to === 0 ? 0 : c.${ends}[to - 1];`,
      `  for (let i = row === 0 ? 0 : part.${ends}[row - 1]; i < part.${ends}[row]; i++, at++) {`,
      ...specs.filter(s => s.ends === ends).map(s => `    c.${s.name}[at] = part.${s.name}[i];`),
      `  }`,
      `  c.${ends}[to] = at; }`,
    ]),
  ];
  return new Function('col', 'to', 'part', 'row', lines.join('\n'));
}
