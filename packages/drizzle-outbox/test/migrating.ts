// bun migrating.ts <dialect> <address> <moment>: a process that starts together with others.
import { type DialectName, migrate } from "../src/index.ts";
import { migrations, openAt } from "./databases.ts";

const [dialect, address = "", moment] = process.argv.slice(2) as [DialectName, string, string];
const db = await openAt(dialect, address);
while (Date.now() < Number(moment)) await Promise.resolve();
await migrate(db, migrations);
await db.close();
