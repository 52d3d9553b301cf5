import { afterEach, beforeEach, describe, expect, spyOn, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pack } from "../pack.ts";
import { dapr } from "./index.ts";

const NAMES = [
  "DAPR_HTTP_ENDPOINT",
  "DAPR_HTTP_PORT",
  "DAPR_API_TOKEN",
  "APP_API_TOKEN",
  "APP_ID",
  "DAPR_APP_ID",
];

/** What the sidecar is called with. */
function calls(options: Parameters<typeof dapr>[0] = {}) {
  const made: { url: string; headers: Headers }[] = [];
  const sidecar = dapr({
    ...options,
    fetch: async (url, init) => {
      made.push({ url, headers: new Headers(init?.headers) });
      return Response.json({ id: "x", runtimeVersion: "1" });
    },
  });
  return { sidecar, made };
}

describe("dapr", () => {
  const before = new Map(NAMES.map((name) => [name, process.env[name]]));
  beforeEach(() => {
    for (const name of NAMES) delete process.env[name];
  });
  afterEach(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });

  test("takes everything from the environment", async () => {
    Object.assign(process.env, {
      DAPR_HTTP_PORT: "3600",
      DAPR_API_TOKEN: "api",
      APP_API_TOKEN: "app",
      APP_ID: "orders",
    });
    const { sidecar, made } = calls();
    await sidecar.metadata();
    expect(made[0]?.url).toBe("http://127.0.0.1:3600/v1.0/metadata");
    expect(made[0]?.headers.get("dapr-api-token")).toBe("api");
    expect(sidecar.appId).toBe("orders");
    const routes = sidecar.subscriptions([]);
    expect((await routes.request("/dapr/subscribe")).status).toBe(401);
    expect((await routes.request("/dapr/subscribe", { headers: { "dapr-api-token": "app" } })).status).toBe(
      200,
    );
  });

  test("has Dapr's defaults, and options come first", async () => {
    const { sidecar, made } = calls();
    await sidecar.shutdown();
    expect(made[0]?.url).toBe("http://127.0.0.1:3500/v1.0/shutdown");
    expect(made[0]?.headers.has("dapr-api-token")).toBe(false);
    process.env.DAPR_HTTP_ENDPOINT = "https://dapr.example/";
    const remote = calls();
    await remote.sidecar.metadata();
    expect(remote.made[0]?.url).toBe("https://dapr.example/v1.0/metadata");
    const own = calls({ endpoint: "http://own", apiToken: "mine" });
    await own.sidecar.metadata();
    expect(own.made[0]?.url).toBe("http://own/v1.0/metadata");
    expect(own.made[0]?.headers.get("dapr-api-token")).toBe("mine");
  });
});

describe("the package", () => {
  test("needs nothing but hono, and no built-ins of Node", async () => {
    for (const entry of ["index.ts", "testing/index.ts"]) {
      const built = await Bun.build({
        entrypoints: [join(import.meta.dir, entry)],
        target: "browser",
        packages: "external",
      });
      const text = (await built.outputs[0]?.text()) ?? "";
      const imports = new Bun.Transpiler({ loader: "js" }).scanImports(text).map(({ path }) => path);
      expect(new Set(imports)).toEqual(new Set(entry === "index.ts" ? ["hono"] : ["hono", "hono/client"]));
    }
  });

  test("works on Node as it is published, with its types", async () => {
    const folder = mkdtempSync(join(tmpdir(), "hono-dapr-pack-"));
    const modules = join(folder, "node_modules");
    try {
      await pack(join(modules, "hono-dapr"));
      symlinkSync(join(dirname(import.meta.dir), "../../node_modules/hono"), join(modules, "hono"));
      const main = `
        import { dapr, event, on } from "hono-dapr";
        import { fakeSidecar } from "hono-dapr/testing";
        const any = { "~standard": { version: 1, vendor: "x", validate: (value) => ({ value }) } };
        const Hello = event("hellos", "hello", any);
        const fake = fakeSidecar();
        const got = [];
        await fake.start("a", fake.sidecar("a").subscriptions([on(Hello, ({ data }) => got.push(data))]));
        await fake.publish(Hello, [{ n: 1 }, { n: 2 }]);
        await fake.settle();
        const text = new TextEncoder();
        const body = new ReadableStream({ start(c) { c.enqueue(text.encode("streamed")); c.close(); } });
        const echo = async (r) => r.method === "POST" ? new Response(await r.text()) : new Response(null, { status: 404 });
        await fake.start("echo", { fetch: echo });
        const answer = await fake.sidecar("a").fetch("http://echo/x", { method: "POST", body });
        const away = await dapr({ endpoint: "http://127.0.0.1:1" }).fetch("http://a/x").catch((error) => error.name);
        console.log(JSON.stringify([got, await answer.text(), away]));`;
      writeFileSync(join(folder, "main.mjs"), main);
      const node = Bun.spawn(["node", join(folder, "main.mjs")], { stdout: "pipe", stderr: "pipe" });
      const [output, errors] = await Promise.all([
        new Response(node.stdout).text(),
        new Response(node.stderr).text(),
      ]);
      expect([output.trim(), errors]).toEqual(['[[{"n":1},{"n":2}],"streamed","SidecarUnreachable"]', ""]);
      const types = await Bun.file(join(modules, "hono-dapr/dist/index.d.ts")).text();
      expect(types).toContain("dapr");
      const manifest = await Bun.file(join(modules, "hono-dapr/package.json")).json();
      for (const { types, default: code } of Object.values<{ types: string; default: string }>(
        manifest.exports,
      )) {
        expect(await Bun.file(join(modules, "hono-dapr", types)).exists()).toBe(true);
        expect(await Bun.file(join(modules, "hono-dapr", code)).exists()).toBe(true);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("has examples in its README that run", async () => {
    const root = dirname(import.meta.dir);
    const readme = await Bun.file(join(root, "README.md")).text();
    const examples = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code ?? "");
    expect(examples.length).toBeGreaterThan(3);
    const folder = mkdtempSync(join(tmpdir(), "hono-dapr-readme-"));
    symlinkSync(join(root, "../../node_modules"), join(folder, "node_modules"));
    const log = spyOn(console, "log").mockImplementation(() => {});
    try {
      for (const [i, code] of examples.entries()) {
        const file = join(folder, `example-${i}.ts`);
        writeFileSync(file, code);
        await import(file);
      }
      expect(log.mock.calls.flat()).toContain("AbortError");
    } finally {
      log.mockRestore();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
