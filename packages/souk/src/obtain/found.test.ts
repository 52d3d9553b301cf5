import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { obtainDapr } from "./dapr.ts";
import { fakeProgram, removeSandboxes, sandbox } from "./fixtures.ts";
import { findProgram } from "./found.ts";
import { parseVersion, within } from "./versions.ts";

afterAll(removeSandboxes);

describe("a runtime that is here already", () => {
  test("DAPR_PATH comes before runtimePath, PATH and ~/.dapr/bin", async () => {
    const box = sandbox();
    const given = join(box.root, "given");
    const ofFile = join(box.root, "of-file");
    const home = join(box.env.HOME as string, ".dapr", "bin");
    const places = [
      [given, "1.17.1"],
      [join(ofFile, ".dapr", "bin"), "1.17.2"],
      [box.bin, "1.17.3"],
      [home, "1.17.4"],
    ] as const;
    for (const [folder, version] of places) fakeProgram(folder, "daprd", version);
    const options = { ...box, env: { ...box.env, DAPR_PATH: given }, runtimePath: ofFile };
    const { env: plain } = box;
    expect(await findProgram("daprd", options)).toEqual({
      path: join(given, "daprd"),
      version: "1.17.1",
      origin: "found",
      from: `DAPR_PATH (${join(given, "daprd")})`,
    });
    expect((await findProgram("daprd", { ...options, env: plain }))?.version).toBe("1.17.2");
    expect((await findProgram("daprd", { ...box }))?.version).toBe("1.17.3");
    expect((await findProgram("daprd", { ...box, env: { ...plain, PATH: "" } }))?.version).toBe("1.17.4");
  });

  test("DAPR_PATH may name the program itself; the others may lie beside it", async () => {
    const box = sandbox();
    const file = fakeProgram(join(box.root, "x"), "daprd", "1.18.0");
    const sentry = fakeProgram(join(box.root, "x"), "sentry", "1.18.1");
    const dapr = await obtainDapr({ ...box, env: { ...box.env, DAPR_PATH: file } });
    expect(dapr).toMatchObject({ daprd: file, sentry, version: "1.18.0", origin: "found" });
    expect(dapr.programs.sentry.version).toBe("1.18.1");
  });

  test("daprd and sentry may come from different places", async () => {
    const box = sandbox();
    const daprd = fakeProgram(join(box.env.HOME as string, ".dapr", "bin"), "daprd", "1.16.0");
    const sentry = fakeProgram(box.bin, "sentry", "1.17.0");
    expect(await obtainDapr({ ...box })).toMatchObject({ daprd, sentry });
    expect(box.steps).toEqual([`daprd 1.16.0: ~/.dapr/bin (${daprd})`, `sentry 1.17.0: PATH (${sentry})`]);
  });

  test.each(["1.15.9", "2.0.0", "edge", "1.18.0-rc.2"])(
    "version %s is said and passed over",
    async (version) => {
      const box = sandbox();
      const path = fakeProgram(box.bin, "daprd", version);
      const good = fakeProgram(join(box.env.HOME as string, ".dapr", "bin"), "daprd", "1.18.2");
      expect((await findProgram("daprd", box))?.path).toBe(good);
      expect(box.steps).toEqual([
        `${path} (PATH) is version ${version}; supported is >=1.16.0 <2.0.0: passed over`,
      ]);
    },
  );

  test("an unsupported one on PATH does not hide a supported one further on", async () => {
    const box = sandbox();
    const later = join(box.root, "later");
    fakeProgram(box.bin, "sentry", "1.0.0");
    const good = fakeProgram(later, "sentry", "1.18.2");
    const env = { ...box.env, PATH: `${box.bin}:${later}` };
    expect((await findProgram("sentry", { ...box, env }))?.path).toBe(good);
  });

  test("a DAPR_PATH that does not exist is said", async () => {
    const box = sandbox();
    expect(await findProgram("daprd", { ...box, env: { ...box.env, DAPR_PATH: "/nowhere" } })).toBeNull();
    expect(box.steps).toEqual(["DAPR_PATH names /nowhere, which does not exist: passed over"]);
  });
});

test("versions", () => {
  expect(parseVersion("v1.18.2")).toEqual([1, 18, 2]);
  expect(parseVersion("1.18")).toEqual([1, 18, 0]);
  expect(parseVersion("1.18.2-rc.1")).toBeNull();
  expect(within("1.9.0", "1.16.0", "2.0.0")).toBe(false);
  expect(within("1.16.0", "1.16.0", "2.0.0")).toBe(true);
  expect(within("10.0.0", "6.2.0")).toBe(true);
  expect(within("edge", "1.0.0", "2.0.0")).toBe(false);
});
