/**
 * Runs a stand-in shop as a process of its own, to be killed: bun run.ts <root>. Prints run.json when it is ready,
 * and stops when its standard input ends.
 */
import { join } from "node:path";
import { startShop } from "../../src/shop.ts";

const [root = ""] = process.argv.slice(2);
const stop = new AbortController();
const ended = Bun.stdin.text().then(() => stop.abort());
const shop = await startShop({ root, home: join(root, ".souk"), port: 0, quiet: true, signal: stop.signal });
console.log(JSON.stringify(shop.run));
await ended;
await shop.stop();
process.exit();
