#!/usr/bin/env node
// Generates what follows from the code of every service: its contract files, the table of who may call what and that of
// what becomes of an order, or its next migration.
import fs from "node:fs";
import { launch } from "./launch.mjs";

const scripts = {
  contracts: "packages/chassis/src/contract.ts",
  migrations: "packages/drizzle-outbox/src/generate.ts",
};
const [what = "", ...flags] = process.argv.slice(2);
if (!(what in scripts)) {
  console.error(`Say what to generate: ${Object.keys(scripts).join(" or ")}`);
  process.exit(1);
}
const services = fs
  .readdirSync("services")
  .map((name) => `services/${name}`)
  .filter((folder) => what !== "migrations" || fs.existsSync(`${folder}/store.ts`));
// What the services say about their callers makes one table; what orders does in every situation makes another.
const states = () => launch(flags, "tests/state-table.ts");
const callers = () => launch(flags, "tests/security/authorisation.ts", states);
launch([...services, ...flags], scripts[what], what === "contracts" ? callers : undefined);
