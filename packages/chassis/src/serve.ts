import { join } from "node:path";
import type { Service } from "./service.ts";
import { start } from "./start.ts";

// Starts the service of the folder that this runs in: `bun <here>/serve.ts`.
const { default: definition } = (await import(join(process.cwd(), "service.ts"))) as {
  default: Service<unknown>;
};
await start(definition);
