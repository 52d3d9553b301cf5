import {
  Column,
  entityKind,
  getTableColumns,
  getTableName,
  is,
  SQL,
  type SQLWrapper,
  Table,
} from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import type { Op, Value } from "./engine.ts";
import type { DialectName } from "./schema.ts";
import { Conflict, type Where, type Write } from "./writes.ts";

// Drizzle's query builder takes 20 to 50 µs a write. Here the text of an insert is made once for each set of
// columns, and conditions are rendered in one pass; the driver then finds its prepared statement by the text.

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

interface TableInfo {
  name: string;
  quoted: string;
  columns: Map<string, Column>;
  /** Columns that Drizzle fills in when a row does not name them. */
  onInsert: [string, Column][];
  onUpdate: [string, Column][];
  inserts: Map<string, { text: string; columns: Column[]; keys: string[] }>;
}

const infos = new WeakMap<SQLiteTable, TableInfo>();

export function info(table: SQLiteTable): TableInfo {
  let known = infos.get(table);
  if (!known) {
    const entries: [string, Column][] = Object.entries(getTableColumns(table));
    const name = getTableName(table);
    known = {
      name,
      quoted: quote(name),
      columns: new Map(entries),
      onInsert: entries.filter(([, column]) => column.defaultFn ?? column.onUpdateFn),
      onUpdate: entries.filter(([, column]) => column.onUpdateFn),
      inserts: new Map(),
    };
    infos.set(table, known);
  }
  return known;
}

function columnOf(table: TableInfo, key: string): Column {
  const column = table.columns.get(key);
  if (!column) throw new TypeError(`${table.name} has no column ${key}`);
  return column;
}

const columnNames = new WeakMap<Column, string>();

function qualified(column: Column): string {
  let name = columnNames.get(column);
  if (name === undefined) {
    name = `${quote(getTableName(column.table))}.${quote(column.name)}`;
    columnNames.set(column, name);
  }
  return name;
}

/** SQL text with its values, as it grows. */
export class Text {
  text = "";
  params: Value[] = [];
  readonly #dialect: DialectName;
  constructor(dialect: DialectName) {
    this.#dialect = dialect;
  }

  value(value: unknown): void {
    if (value === undefined) throw new TypeError("A condition compares with undefined");
    this.params.push(
      this.#dialect === "sqlite" && typeof value === "boolean" ? Number(value) : (value as Value),
    );
    this.text += this.#dialect === "sqlite" ? "?" : `$${this.params.length}`;
  }

  /** A value as its column keeps it, or an SQL expression. */
  encoded(value: unknown, column: Column): void {
    if (value !== null && typeof value === "object" && is(value, SQL)) this.sql(value);
    else this.value(value === null ? null : column.mapToDriverValue(value));
  }

  sql(chunk: unknown): void {
    if (chunk === undefined) return;
    if (chunk === null || typeof chunk !== "object") {
      this.value(chunk);
      return;
    }
    if (Array.isArray(chunk)) {
      this.text += "(";
      chunk.forEach((each, i) => {
        if (i > 0) this.text += ", ";
        this.sql(each);
      });
      this.text += ")";
      return;
    }
    switch ((chunk.constructor as { [entityKind]?: string })[entityKind]) {
      case "StringChunk":
        for (const part of (chunk as { value: string[] }).value) this.text += part;
        return;
      case "SQL":
        for (const part of (chunk as SQL).queryChunks) this.sql(part);
        return;
      case "Param": {
        const { value, encoder } = chunk as {
          value: unknown;
          encoder: { mapToDriverValue(value: unknown): unknown };
        };
        const mapped = value === null ? null : encoder.mapToDriverValue(value);
        if (is(mapped, SQL)) this.sql(mapped);
        else this.value(mapped);
        return;
      }
      case "Name":
        this.text += quote((chunk as { value: string }).value);
        return;
      case "Placeholder":
        throw new TypeError("Placeholders have no value in a commit");
    }
    if (is(chunk, Column)) this.text += qualified(chunk);
    else if (is(chunk, Table)) this.text += quote(getTableName(chunk));
    else if ("getSQL" in chunk) {
      this.text += "(";
      this.sql((chunk as SQLWrapper).getSQL());
      this.text += ")";
    } else this.value(chunk);
  }

  /** A condition; `undefined` is refused, since it would mean every row. */
  where(table: TableInfo, where: Where): void {
    if (where === undefined)
      throw new TypeError(`${table.name}: a write without a condition; say sql\`true\` for all rows`);
    if (is(where, SQL)) {
      this.sql(where);
      return;
    }
    let first = true;
    for (const key in where) {
      const value = (where as Record<string, unknown>)[key];
      const column = columnOf(table, key);
      if (!first) this.text += " and ";
      first = false;
      this.text += qualified(column);
      if (value === null) this.text += " is null";
      else {
        this.text += " = ";
        if (value === undefined) throw new TypeError(`${table.name}: ${key} is compared with undefined`);
        this.encoded(value, column);
      }
    }
    if (first)
      throw new TypeError(`${table.name}: a write without a condition; say sql\`true\` for all rows`);
  }

  set(table: TableInfo, set: Record<string, unknown>): void {
    let first = true;
    const put = (column: Column, value: unknown) => {
      if (!first) this.text += ", ";
      first = false;
      this.text += `${quote(column.name)} = `;
      this.encoded(value, column);
    };
    for (const key in set) if (set[key] !== undefined) put(columnOf(table, key), set[key]);
    for (const [key, column] of table.onUpdate)
      if (set[key] === undefined) put(column, column.onUpdateFn?.());
    if (first) throw new TypeError(`${table.name}: an update without a value`);
  }
}

/** The operations that carry out one write. */
export function compile(write: Write, dialect: DialectName): Op[] {
  const table = info(write.table);
  if (write.op === "insert" || write.op === "upsert") {
    const tail = write.op === "upsert" ? conflictTail(write, table) : undefined;
    const ops = write.values.map((row) => insertOp(table, row, dialect, tail));
    if (write.rows !== undefined) expect(ops, write.rows, table.name, () => `unique(${tail?.name})`);
    return ops;
  }
  const out = new Text(dialect);
  if (write.op === "update") {
    out.text = `update ${table.quoted} set `;
    out.set(table, write.set);
    out.text += " where ";
  } else out.text = `delete from ${table.quoted} where `;
  const start = out.text.length;
  const valuesBefore = out.params.length;
  out.where(table, write.where);
  const op: Op = { text: out.text, params: out.params, table: table.name };
  if (write.rows !== undefined)
    expect(
      [op],
      write.rows,
      table.name,
      () => `${out.text.slice(start)} ${JSON.stringify(out.params.slice(valuesBefore))}`,
    );
  return [op];
}

/** Refuses the transaction unless the operations together touched so many rows. */
function expect(ops: Op[], rows: number, table: string, condition: () => string): void {
  let touched = 0;
  ops.forEach((op, i) => {
    op.after = ({ count }) => {
      touched = i === 0 ? count : touched + count;
      if (i === ops.length - 1 && touched !== rows)
        throw new Conflict(table, condition(), { expected: rows, actual: touched });
    };
  });
}

interface Tail {
  name: string;
  /** Part of the cache's key, absent when the tail has values of its own and must be rendered each time. */
  shape?: string;
  render(out: Text, columns: Column[]): void;
}

function conflictTail(write: Write & { op: "upsert" }, table: TableInfo): Tail {
  const name = write.on.join(",");
  const { set, where, on } = write;
  return {
    name,
    shape: set || where ? undefined : ` on ${name}`,
    render(out, columns) {
      out.text += ` on conflict (${on.map((key) => quote(columnOf(table, key).name)).join(", ")}) do `;
      if (set) {
        out.text += "update set ";
        out.set(table, set);
      } else {
        const keys = new Set(on.map((key) => columnOf(table, key)));
        const rest = columns.filter((column) => !keys.has(column));
        if (rest.length === 0) {
          out.text += "nothing";
          return;
        }
        out.text += `update set ${rest.map((c) => `${quote(c.name)} = excluded.${quote(c.name)}`).join(", ")}`;
      }
      if (where) {
        out.text += " where ";
        out.sql(where);
      }
    },
  };
}

function insertOp(table: TableInfo, row: Record<string, unknown>, dialect: DialectName, tail?: Tail): Op {
  let values = row;
  for (const [key, column] of table.onInsert)
    if (values[key] === undefined) values = { ...values, [key]: (column.defaultFn ?? column.onUpdateFn)?.() };
  let shape = tail?.shape ?? "";
  let plain = tail === undefined || tail.shape !== undefined;
  for (const key in values) {
    const value = values[key];
    if (value === undefined) continue;
    shape += `,${key}`;
    if (plain && value !== null && typeof value === "object" && is(value, SQL)) plain = false;
  }
  let known = plain ? table.inserts.get(shape) : undefined;
  if (!known) {
    const keys = Object.keys(values).filter((key) => values[key] !== undefined);
    const columns = keys.map((key) => columnOf(table, key));
    const out = new Text(dialect);
    out.text =
      keys.length === 0
        ? `insert into ${table.quoted} default values`
        : `insert into ${table.quoted} (${columns.map((c) => quote(c.name)).join(", ")}) values (`;
    keys.forEach((key, i) => {
      if (i > 0) out.text += ", ";
      out.encoded(values[key], columns[i] as Column);
    });
    if (keys.length > 0) out.text += ")";
    tail?.render(out, columns);
    if (!plain) return { text: out.text, params: out.params, table: table.name };
    known = { text: out.text, columns, keys };
    table.inserts.set(shape, known);
    return { text: out.text, params: out.params, table: table.name };
  }
  const { keys, columns } = known;
  const params = new Array<Value>(keys.length);
  for (let i = 0; i < keys.length; i++) {
    const value = values[keys[i] as string];
    params[i] = value === null ? null : ((columns[i] as Column).mapToDriverValue(value) as Value);
  }
  return { text: known.text, params, table: table.name };
}

/** The text of an own statement, written with `?`, for a dialect. */
export function own(text: string, dialect: DialectName): string {
  if (dialect === "sqlite") return text;
  let n = 0;
  return text.replaceAll("?", () => `$${++n}`);
}

const selects = new WeakMap<SQLiteTable, { text: string; map(row: Value[]): Record<string, unknown> }>();

/** A select of whole rows by a condition, and how a row becomes what the table's type says. */
export function selection(table: SQLiteTable, where: Where, dialect: DialectName, tail: string) {
  let known = selects.get(table);
  if (!known) {
    const { quoted, columns } = info(table);
    const entries = [...columns];
    known = {
      text: `select ${entries.map(([, column]) => quote(column.name)).join(", ")} from ${quoted} where `,
      map(row) {
        const result: Record<string, unknown> = {};
        for (let i = 0; i < entries.length; i++) {
          const [key, column] = entries[i] as [string, Column];
          const value = row[i] as Value;
          result[key] = value === null ? null : column.mapFromDriverValue(value);
        }
        return result;
      },
    };
    selects.set(table, known);
  }
  const out = new Text(dialect);
  out.text = known.text;
  out.where(info(table), where);
  out.text += tail;
  return { text: out.text, params: out.params, map: known.map };
}
