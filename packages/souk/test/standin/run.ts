/** Runs a stand-in shop as a process of its own, to be killed: bun run.ts <root>. Prints run.json when it is ready. */
import { join } from "node:path";
import { startShop } from "../../src/shop.ts";

const [root = ""] = process.argv.slice(2);
const shop = await startShop({ root, home: join(root, ".souk"), port: 0, quiet: true });
console.log(JSON.stringify(shop.run));
await shop.stopped;
