import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Applied, type Db, engineOf, type Migration } from "./engine.ts";
import { isContraction, statementsOf, takesAway } from "./migrations.ts";

/**
 * Applies the migrations in `<folder>/sqlite` or `<folder>/postgres` that the database has not had: `*.sql`, in the
 * order of their names, all or none. Several processes may start at once: one does it, the others wait.
 *
 * A database that a newer version has migrated is taken as it is, since a migration only adds (see `migrations.ts`),
 * unless it has had a contraction that is not in the folder.
 * @throws when a migration that was applied has been changed or removed since, when the database has had a contraction
 *   that this version does not know, and when a migration would take something away without being a contraction
 */
export async function migrate(db: Db, folder: string | URL): Promise<void> {
  const path = join(typeof folder === "string" ? folder : fileURLToPath(folder), db.dialect);
  const names = (await readdir(path)).filter((name) => name.endsWith(".sql")).sort();
  const migrations = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(path, name), "utf8");
      const [first] = isContraction(name) ? [] : takesAway(text);
      if (first)
        throw new Error(
          `The migration ${name} takes something away, and is not named as a contraction: ${first}`,
        );
      return { name, hash: createHash("sha256").update(text).digest("hex"), statements: statementsOf(text) };
    }),
  );
  await engineOf(db).migrate((applied) => missing(applied, migrations));
}

function missing(applied: Applied[], migrations: Migration[]): Migration[] {
  const hashes = new Map(migrations.map(({ name, hash }) => [name, hash]));
  const done = new Set(applied.map(({ name }) => name));
  const todo = migrations.filter(({ name }) => !done.has(name));
  const last = migrations.at(-1)?.name ?? "";
  for (const { name, hash } of applied) {
    const ours = hashes.get(name);
    if (ours === hash) continue;
    if (ours === undefined && name > last && isContraction(name))
      throw new Error(
        `A newer version has taken away from this database what this version needs (${name}): run that version, or restore a backup from before`,
      );
    if (ours !== undefined || name < last || todo.length > 0)
      throw new Error(
        `The migration ${name} was applied to this database, but has ${ours ? "changed" : "gone"} since`,
      );
  }
  return todo;
}
