/** A checkout of its own for a test: three stand-in services, with the components and policies of this one. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const checkout = join(import.meta.dir, "../../../..");
const app = join(import.meta.dir, "app.ts");

export interface Standin {
  root: string;
  remove(): void;
}

export function standin(): Standin {
  const root = mkdtempSync(join(tmpdir(), "souk-standin-"));
  mkdirSync(join(root, "dapr"));
  cpSync(join(checkout, "components"), join(root, "components"), { recursive: true });
  cpSync(join(checkout, "dapr/config"), join(root, "dapr/config"), { recursive: true });
  cpSync(join(checkout, "dapr/resiliency.yaml"), join(root, "dapr/resiliency.yaml"));
  const apps = ["catalog", "orders", "gateway"].map((name) => {
    mkdirSync(join(root, "services", name), { recursive: true });
    return [
      `  - appID: ${name}`,
      `    appDirPath: services/${name}`,
      `    configFilePath: ../../dapr/config/${name}.yaml`,
      `    command: [bun, ${JSON.stringify(app)}]`,
      `    env: ${name === "gateway" ? '{ PORT: "8080" }' : "{}"}`,
    ].join("\n");
  });
  writeFileSync(
    join(root, "dapr.yaml"),
    [
      "version: 1",
      "common:",
      "  resourcesPaths: [components, dapr]",
      "  logLevel: warn",
      "  env: { NODE_ENV: test }",
      "apps:",
      ...apps,
      "",
    ].join("\n"),
  );
  return { root, remove: () => rmSync(root, { recursive: true, force: true }) };
}
