/** One Parquet file: columns fill up, and whenever enough rows wait they become a row group. */
import { ByteWriter, type ColumnSource, type KeyValue, ParquetWriter } from 'hyparquet-writer';
import type { Column } from './columns.js';
import { WholeFile } from './file.js';

/** Rows of a row group: as many as DuckDB reads at once, a multiple of 2,048 near its own 122,880. */
const GROUP_ROWS = 131_072;
/** Bytes that wait before they are written all the same: lists make long rows, and the library takes ten times as much. */
const GROUP_BYTES = 6 << 20;
const BUFFER_BYTES = 1 << 20;

/** What the library writes to: a buffer that goes to the file whenever it is large. */
class FileWriter extends ByteWriter {
  private readonly file: WholeFile;
  constructor(file: WholeFile) {
    super(BUFFER_BYTES);
    this.file = file;
  }
  override ensure(size: number): void {
    if (this.index > 0 && this.index + size > BUFFER_BYTES) this.flush();
    super.ensure(size);
  }
  flush(): void {
    this.file.write(this.getBytes());
    this.index = 0;
  }
  override finish(): void {
    this.flush();
  }
}

export class Table {
  /** Rows so far. */
  rows = 0;
  readonly file: WholeFile;
  private waiting = 0;
  private readonly columns: readonly Column[];
  private readonly writer: ParquetWriter;

  /** @param about key and value pairs in the file's footer */
  constructor(path: string, columns: readonly Column[], about: readonly KeyValue[]) {
    this.columns = columns;
    this.file = new WholeFile(path);
    this.writer = new ParquetWriter({
      writer: new FileWriter(this.file),
      schema: [{ name: 'schema', num_children: columns.length }, ...columns.flatMap(c => c.elements)],
      kvMetadata: [...about],
      createdBy: 'rewalk',
    });
  }
  /** Bytes that wait for their row group. */
  get pending(): number {
    let bytes = 0;
    for (const c of this.columns) bytes += c.bytes;
    return bytes;
  }
  /** Every column got n rows more; writes a row group if there are enough. */
  took(n: number): void {
    this.rows += n;
    this.waiting += n;
    if (this.waiting >= GROUP_ROWS || this.pending >= GROUP_BYTES) this.flush();
  }
  flush(): void {
    if (this.waiting === 0) return;
    const columnData: ColumnSource[] = this.columns.map(c => c.drain());
    this.writer.write({ columnData, rowGroupSize: this.waiting });
    this.waiting = 0;
  }
  /** Writes what waits and the footer. */
  close(): void {
    this.flush();
    this.writer.finish();
    this.file.close();
  }
}
