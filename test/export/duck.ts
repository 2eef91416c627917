/** DuckDB, the independent reader of what is exported. */
import { type DuckDBConnection, DuckDBInstance, DuckDBListValue } from '@duckdb/node-api';

export type Rows = readonly Record<string, unknown>[];
let connection: Promise<DuckDBConnection> | undefined;

/** The rows of a query; lists as arrays, 64-bit numbers as bigint. */
export async function sql(query: string): Promise<Rows> {
  connection ??= DuckDBInstance.create(':memory:').then(db => db.connect());
  const result = await (await connection).runAndReadAll(query);
  const plain = (v: unknown): unknown => (v instanceof DuckDBListValue ? v.items.map(plain) : v);
  return result.getRowObjects().map(row => Object.fromEntries(Object.entries(row).map(([k, v]) => [k, plain(v)])));
}
/** A view for each table of an export, named as docs/export.md does it. */
export async function views(dir: string, tables: readonly string[]): Promise<void> {
  for (const table of tables)
    await sql(
      `create or replace view "${table}" as from read_parquet('${dir}/${table}/*/*.parquet', hive_partitioning = true)`,
    );
}
