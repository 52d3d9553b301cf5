import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { isAllowed } from "../../packages/souk/src/supply/licences.ts";
import { readGoModules, readLockfile, readVendored } from "../../packages/souk/src/supply/lockfile.ts";
import { bom } from "../../packages/souk/src/supply/sbom.ts";
import { findSecrets, scan } from "./secrets.ts";

const root = resolve(import.meta.dir, "../..");
const locked = readLockfile(root);
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  allowScripts?: Record<string, boolean>;
  workspaces: string[];
};

describe("what is installed", () => {
  test("every package of the lockfile is pinned by the digest of its archive", () => {
    expect(locked.length).toBeGreaterThan(100);
    expect(
      locked.filter(({ integrity }) => !integrity?.startsWith("sha512-")).map(({ place }) => place),
    ).toEqual([]);
  });

  test("every dependency of ours is named by one exact version", () => {
    const manifests = ["", "packages/*/", "services/*/"].flatMap((folder) => [
      ...new Bun.Glob(`${folder}package.json`).scanSync(root),
    ]);
    expect(manifests.length).toBeGreaterThan(8);
    const loose = manifests.flatMap((file) => {
      const { dependencies = {}, devDependencies = {} } = JSON.parse(readFileSync(join(root, file), "utf8"));
      return Object.entries({ ...dependencies, ...devDependencies })
        .filter(([, version]) => !/^\d+\.\d+\.\d+/.test(String(version)) && version !== "*")
        .map(([name, version]) => `${file}: ${name} ${version}`);
    });
    expect(loose).toEqual([]);
  });

  test("whether a package may run a script at its installation is decided by name", () => {
    const scripted = [
      ...new Set(locked.filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name)),
    ];
    const decided = manifest.allowScripts ?? {};
    expect(Object.keys(decided).toSorted()).toEqual(scripted.toSorted());
    // Bun's puts the program for this machine in its place; the lockfile pins which one that is.
    expect(Object.keys(decided).filter((name) => decided[name])).toEqual(["bun"]);
  });

  test("every licence asks for nothing but to be named", () => {
    expect(
      locked.filter(({ license }) => !isAllowed(license)).map(({ name, license }) => `${name}: ${license}`),
    ).toEqual([]);
    expect(isAllowed("MIT OR GPL-3.0")).toBe(true);
    expect(isAllowed("MIT AND GPL-3.0")).toBe(false);
    expect(isAllowed(undefined)).toBe(false);
  });

  test("the packages are signed by the registry", () => {
    const { stdout, stderr, status } = spawnSync(
      "npm",
      ["audit", "signatures", "--fetch-retries=0", "--fetch-timeout=10000"],
      { cwd: root, encoding: "utf8", timeout: 90_000 },
    );
    const said = `${stdout}\n${stderr}`;
    const cannot =
      /ENETUNREACH|ENOTFOUND|ECONNREFUSED|E40[0-9]|found no dependencies|No dependencies|no installed/i;
    if (status === null || (status !== 0 && cannot.test(said))) {
      console.log("not run: npm audit signatures (the registry does not answer for them)");
      return;
    }
    expect(said).not.toMatch(/invalid signature|missing registry signature/i);
    expect(status).toBe(0);
  }, 120_000);
});

describe("the bill of materials", () => {
  test("names every package and every Go module", () => {
    const { bomFormat, components } = bom(root);
    const purls = new Set(components.map(({ purl }) => purl));
    expect(bomFormat).toBe("CycloneDX");
    const npm = locked.map(({ name, version }) => `pkg:npm/${name.replace("@", "%40")}@${version}`);
    expect(npm.filter((purl) => !purls.has(purl))).toEqual([]);
    const vendored = readVendored(root);
    expect(vendored.map(({ name }) => name)).toEqual(["@scalar/api-reference"]);
    expect(vendored.filter(({ license }) => !isAllowed(license))).toEqual([]);
    for (const { name, version } of vendored)
      expect(purls).toContain(`pkg:npm/${name.replace("@", "%40")}@${version}`);
    const modules = readGoModules(root);
    expect(modules.map(({ path }) => path)).toContain("github.com/dapr/dapr");
    expect(modules.length).toBeGreaterThan(100);
    expect(modules.filter(({ path }) => !components.some(({ name }) => name === path))).toEqual([]);
  }, 60_000);
});

describe("secrets", () => {
  test("none is in the repository", async () => {
    const { findings, files } = await scan(root);
    expect(files).toBeGreaterThan(200);
    expect(findings).toEqual([]);
  }, 120_000);

  test("one would be found", async () => {
    // Put together here, so that the file itself has none.
    const token = ["ghp", "wWPw5k4aXcaT4fNP0UcnZwJUVFk6LO0pINUx"].join("_");
    const found = await findSecrets("a.ts", `first line\nconst token = "${token}";\n`);
    expect(found).toEqual([{ file: "a.ts", line: 2, kind: expect.stringContaining("github") }]);
    expect(JSON.stringify(found)).not.toContain(token);
  });
});
