import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { migrations } from "../test/databases.ts";
import { generate } from "./generate.ts";

setDefaultTimeout(30_000);

// Beside the sources, so that a store in it finds the package.
const scratch = () => mkdtempSync(join(import.meta.dir, "..", "test", "generated-"));
const store = (columns: string) => `
  import { outboxTables, schema } from "../../src/index.ts";
  export const tables = schema((t) => ({ things: t.table("things", { id: t.text().primaryKey(), ${columns} }) , ...outboxTables(t) }));
`;

describe("generate", () => {
  test("the test schema's last migrations are what it writes, byte for byte", async () => {
    const folder = scratch();
    try {
      cpSync(join(migrations, "..", "store.ts"), join(folder, "store.ts"));
      cpSync(migrations, join(folder, "migrations"), { recursive: true });
      const last = (path: string, ending: string) =>
        readdirSync(join(migrations, path))
          .filter((name) => name.endsWith(ending))
          .sort()
          .at(-1) ?? "";
      const files = ["sqlite", "postgres"].flatMap((dialect) => [
        join(dialect, last(dialect, ".sql")),
        join(dialect, "meta", last(`${dialect}/meta`, ".json")),
      ]);
      for (const file of files) rmSync(join(folder, "migrations", file));
      await generate(folder, { name: last("sqlite", ".sql").slice(5, -4) });
      for (const file of files)
        expect(readFileSync(join(folder, "migrations", file), "utf8")).toBe(
          readFileSync(join(migrations, file), "utf8"),
        );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("says what is missing, writes it once, and then is content", async () => {
    const [before, after] = [scratch(), scratch()];
    try {
      writeFileSync(join(before, "store.ts"), store(""));
      expect(await generate(before, { check: true })).toHaveLength(2);
      expect(readdirSync(before)).toEqual(["store.ts"]);
      expect(await generate(before)).toHaveLength(2);
      expect(await generate(before)).toEqual([]);
      expect(await generate(before, { check: true })).toEqual([]);
      cpSync(join(before, "migrations"), join(after, "migrations"), { recursive: true });
      writeFileSync(join(after, "store.ts"), store("size: t.integer()"));
      const written = await generate(after, { name: "add_size" });
      expect(written).toEqual(
        ["sqlite", "postgres"].map((dialect) => join(after, "migrations", dialect, "0001_add_size.sql")),
      );
      expect(readFileSync(written[0] ?? "", "utf8").trim()).toBe("ALTER TABLE `things` ADD `size` integer;");
      expect(readFileSync(written[1] ?? "", "utf8").trim()).toBe(
        'ALTER TABLE "things" ADD COLUMN "size" bigint;',
      );
    } finally {
      rmSync(before, { recursive: true });
      rmSync(after, { recursive: true });
    }
  });

  test("takes nothing away, unless told to", async () => {
    const [before, after] = [scratch(), scratch()];
    try {
      writeFileSync(join(before, "store.ts"), store("size: t.integer()"));
      await generate(before);
      cpSync(join(before, "migrations"), join(after, "migrations"), { recursive: true });
      writeFileSync(join(after, "store.ts"), store(""));
      await expect(generate(after, { name: "no_size" })).rejects.toThrow("would take something away");
      const written = await generate(after, { name: "no_size", contract: true });
      expect(written).toEqual(
        ["sqlite", "postgres"].map((dialect) =>
          join(after, "migrations", dialect, "0001_no_size.contract.sql"),
        ),
      );
    } finally {
      rmSync(before, { recursive: true });
      rmSync(after, { recursive: true });
    }
  });
});
