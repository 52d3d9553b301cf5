import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Db, engineOf } from "./engine.ts";

/**
 * Applies the migrations in `<folder>/sqlite` or `<folder>/postgres` that the database has not had: `*.sql`, in the
 * order of their names, all or none. Several processes may start at once: one does it, the others wait.
 * @throws when a migration that was applied has been changed or removed since
 */
export async function migrate(db: Db, folder: string | URL): Promise<void> {
  const path = join(typeof folder === "string" ? folder : fileURLToPath(folder), db.dialect);
  const names = (await readdir(path)).filter((name) => name.endsWith(".sql")).sort();
  const migrations = await Promise.all(
    names.map(async (name) => {
      const text = await readFile(join(path, name), "utf8");
      const hash = createHash("sha256").update(text).digest("hex");
      return {
        name,
        hash,
        statements: text.split("--> statement-breakpoint").filter((part) => part.trim() !== ""),
      };
    }),
  );
  await engineOf(db).migrate((applied) => {
    const hashes = new Map(migrations.map(({ name, hash }) => [name, hash]));
    for (const { name, hash } of applied)
      if (hashes.get(name) !== hash)
        throw new Error(
          `The migration ${name} was applied to this database, but has ${hashes.has(name) ? "changed" : "gone"} since`,
        );
    const done = new Set(applied.map(({ name }) => name));
    return migrations.filter(({ name }) => !done.has(name));
  });
}
