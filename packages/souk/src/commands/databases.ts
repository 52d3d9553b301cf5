import { Database } from "bun:sqlite";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Home } from "../home.ts";
import type { Finding } from "./doctor.ts";

const mend = "put back a backup: docs/backup.md; or forget all data: npm start -- --fresh";

/** Reads every database of the services through, whatever its size: a start looks at small ones only. */
export function databases(home: Home): Finding[] {
  const files = existsSync(home.data) ? readdirSync(home.data) : [];
  // The lock of who uses a database stays beside it.
  const used = files
    .filter((name) => name.endsWith(".db-owner"))
    .map((name) => name.slice(0, -"-owner".length));
  const names = [...new Set([...files.filter((name) => name.endsWith(".db")), ...used])].sort();
  const findings = names.map((name) => ({
    name,
    wrong: trouble(join(home.data, name), used.includes(name)),
  }));
  const wrong = findings.flatMap(({ name, wrong }): Finding[] =>
    wrong === undefined
      ? []
      : [{ what: "Database", state: "wrong", text: `${join(home.data, name)} ${wrong}`, mend }],
  );
  if (wrong.length > 0 || names.length === 0) return wrong;
  const megabytes = names.reduce((sum, name) => sum + statSync(join(home.data, name)).size, 0) / 1_000_000;
  return [
    {
      what: "Databases",
      state: "ok",
      text: `${names.length} read through, ${megabytes.toFixed(1)} MB: whole`,
    },
  ];
}

function trouble(path: string, used: boolean): string | undefined {
  if (!existsSync(path)) return "is gone, although it was in use";
  if (used && statSync(path).size === 0) return "is empty, although it was in use";
  let db: Database | undefined;
  try {
    db = new Database(path, { readonly: true });
    const [[found] = []] = db.query("pragma quick_check(1)").values();
    return found === "ok" ? undefined : `is damaged (${String(found).replace(/\s+/g, " ")})`;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return `cannot be read: ${error.message}`;
  } finally {
    db?.close();
  }
}
