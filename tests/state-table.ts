import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { page } from "../services/orders/state-table.fixture.ts";

// bun tests/state-table.ts [--check]
//
// Writes docs/orders/state-table.md, what becomes of an order when, from the code of the orders service. With --check
// nothing is written: it fails where the file is stale.

const name = "docs/orders/state-table.md";
const file = join(resolve(import.meta.dir, ".."), name);
const wanted = page();
const there = await readFile(file, "utf8").catch(() => "");
if (there !== wanted) {
  if (process.argv.includes("--check")) {
    process.stdout.write(`stale ${name}\nRun: npm run contracts\n`);
    process.exitCode = 1;
  } else {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, wanted);
    process.stdout.write(`wrote ${name}\n`);
  }
}
