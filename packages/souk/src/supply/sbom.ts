// bun packages/souk/src/supply/sbom.ts [file]: the software bill of materials (CycloneDX 1.5, JSON) of this checkout:
// what npm's lockfile pins, what lies in vendor/, and the Go modules that the Dapr runtime is built from.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { table } from "../terminal.ts";
import { byLicence } from "./licences.ts";
import { type GoModule, readGoModules, readLockfile, readVendored, type Vendored } from "./lockfile.ts";

interface Component {
  "bom-ref": string;
  type: string;
  name: string;
  version: string;
  purl: string;
  scope: string;
}

/** A CycloneDX document, as far as it is looked into here. */
export interface Bom {
  bomFormat: string;
  specVersion: string;
  components: Component[];
}

/**
 * Makes the bill of materials of a checkout. It needs npm, and neither the network nor what is installed.
 * @throws {Error} with npm's words when it cannot
 */
export function bom(root: string): Bom {
  const args = ["sbom", "--sbom-format", "cyclonedx", "--sbom-type", "application", "--package-lock-only"];
  const { status, stdout, stderr } = spawnSync("npm", args, { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(`npm made no bill of materials: ${stderr}`);
  const document = JSON.parse(stdout) as Bom;
  const vendored = readVendored(root).map(vendoredComponent);
  return {
    ...document,
    components: [...document.components, ...vendored, ...readGoModules(root).map(componentOf)],
  };
}

function componentOf({ path, version }: GoModule): Component {
  const purl = `pkg:golang/${path}@${encodeURIComponent(version)}`;
  return { "bom-ref": purl, type: "library", name: path, version, purl, scope: "required" };
}

function vendoredComponent({ name, version }: Vendored): Component {
  const purl = `pkg:npm/${name.replace("@", "%40")}@${version}`;
  return { "bom-ref": `${purl}#vendored`, type: "library", name, version, purl, scope: "required" };
}

if (import.meta.main) {
  const root = resolve(import.meta.dir, "../../../..");
  const file = resolve(process.argv[2] ?? join(root, "sbom.cdx.json"));
  const { components, ...rest } = bom(root);
  writeFileSync(file, `${JSON.stringify({ ...rest, components }, null, 2)}\n`);
  console.log(
    `${table([["npm packages", "licence"], ...byLicence(readLockfile(root)).map(([id, n]) => [String(n), id])])}\n`,
  );
  console.log(`${components.length} components, ${readGoModules(root).length} of them Go modules: ${file}`);
}
