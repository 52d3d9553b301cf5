import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findRoot, ProjectError, readProject } from "./project.ts";

const root = mkdtempSync(join(tmpdir(), "souk-project-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
for (const dir of ["services/a", "services/b", "components", "more", "services/b/own"]) {
  mkdirSync(join(root, dir), { recursive: true });
}
for (const file of ["a.yaml", "common.yaml"]) writeFileSync(join(root, file), "");

/** Reads this text as the project's dapr.yaml. */
function read(text: string) {
  writeFileSync(join(root, "dapr.yaml"), text);
  return readProject(root);
}

const failure = (text: string): string => {
  try {
    read(text);
  } catch (error) {
    if (error instanceof ProjectError) return error.message.replace(`${join(root, "dapr.yaml")}:`, "");
    throw error;
  }
  throw new Error("It was read without a complaint.");
};

const app = "apps:\n  - appDirPath: services/a\n    command: [bun, a.ts]\n";

describe("what is read", () => {
  test("common values, and each app's own over them", () => {
    const { apps } = read(`
version: 1
common:
  resourcesPaths: [components]
  configFilePath: common.yaml
  logLevel: warn
  env: { A: common, B: "2" }
apps:
  - appDirPath: services/a
    appID: first
    command: [bun, a.ts]
    configFilePath: ../../a.yaml
    logLevel: debug
    env: { A: own }
  - appDirPath: services/b
    command: ["bun"]
    resourcesPaths: [own, ../../more]
    env: {}
`);
    expect(apps.map((each) => each.id)).toEqual(["first", "b"]);
    const [first, b] = apps;
    expect(first).toMatchObject({
      dir: join(root, "services/a"),
      command: ["bun", "a.ts"],
      resources: [join(root, "components")],
      config: join(root, "a.yaml"),
      env: { A: "own", B: "2" },
      logLevel: "debug",
    });
    expect(b).toMatchObject({
      resources: [join(root, "services/b/own"), join(root, "more")],
      config: join(root, "common.yaml"),
      env: { A: "common", B: "2" },
      logLevel: "warn",
    });
  });

  test("the checkout's own file", () => {
    const project = readProject(findRoot(import.meta.dir));
    expect(project.apps.map((each) => each.id).sort()).toEqual(
      [
        "carts",
        "catalog",
        "gateway",
        "identity",
        "inventory",
        "notifications",
        "orders",
        "payments",
        "shipping",
      ].sort(),
    );
    // The public port is what tells the way in from the others.
    expect(project.apps.filter((each) => each.env.PORT).map((each) => each.id)).toEqual(["gateway"]);
  });
});

describe("what is wrong is named with its place", () => {
  test.each([
    ["version: 1\napps: [", "2:8: Flow sequence"],
    ["apps:\n  - appDirPath: services/a\n", "1:1: add `version: 1`"],
    ["version: 1\n", "1:1: list at least one service"],
    [`version: 1\n${app}    enableAppHealthCheck: true\n`, "leave it out"],
    [`version: 1\n${app}    colour: red\n`, "5:5: `colour` is not known here"],
    [`version: 1\n${app}    appid: x\n`, "did you mean `appID`"],
    [`version: 1\n${app}    appPort: "80"\n`, "5:14: `appPort` must be a number"],
    [
      "version: 1\napps:\n  - appDirPath: services/a\n    command: bun a.ts\n",
      "4:14: `command` must be a list of strings",
    ],
    ["version: 1\napps:\n  - appDirPath: services/a\n", "a has no `command`"],
    ["version: 1\napps:\n  - appDirPath: services/none\n    command: [bun]\n", "3:17: `appDirPath`: "],
    [`version: 1\ncommon:\n  env: { A: b }\n${app}`, "5:5: a needs an `env` (write `env: {}`)"],
    [
      `version: 1\n${app}  - appDirPath: services/b\n    appID: a\n    command: [bun]\n`,
      "6:12: two services are called a",
    ],
    [`version: 1\n${app}    configFilePath: none.yaml\n`, "5:21: `configFilePath`: "],
    [`version: 1\n${app}    env: [a]\n`, "5:10: `env` must be a map of strings"],
  ])("%j", (text, message) => {
    expect(failure(text)).toContain(message);
  });

  test("no file at all", () => {
    expect(() => findRoot("/")).toThrow(ProjectError);
  });
});
