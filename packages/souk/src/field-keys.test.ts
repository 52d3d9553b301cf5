import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { changeKeyring, keyringOf, keyringsIn, withCurrentOnly, withNewest, withNext } from "./field-keys.ts";
import { homeOf, prepare, readJson, secretsFile, secretsOf } from "./home.ts";
import { copyResources, reloadSecrets } from "./resources.ts";
import { read, rotateFields } from "./rotate-fields.ts";

const dir = mkdtempSync(join(tmpdir(), "souk-keys-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const home = homeOf(dir, join(dir, "shop"));
prepare(home);

test("a key is added, taken into use, and ends; the other secrets stay", () => {
  const before = secretsOf(home, "orders");
  expect(keyringsIn(home)).toEqual(["orders"]);
  expect(Object.keys(keyringOf(home, "orders").keys)).toEqual(["k1"]);
  const next = changeKeyring(home, "orders", withNext);
  expect([next.current, Object.keys(next.keys)]).toEqual(["k1", ["k1", "k2"]]);
  expect(next.keys.k2).not.toBe(next.keys.k1);
  // Broken off, and begun again.
  expect(changeKeyring(home, "orders", withNext)).toEqual(next);
  expect(changeKeyring(home, "orders", withNewest).current).toBe("k2");
  expect(changeKeyring(home, "orders", withCurrentOnly)).toEqual({
    current: "k2",
    keys: { k2: next.keys.k2 ?? "" },
  });
  expect(Object.keys(changeKeyring(home, "orders", withNext).keys)).toEqual(["k2", "k3"]);
  const { fields: _, ...others } = readJson<Record<string, string>>(secretsFile(home, "orders")) ?? {};
  expect(before).toMatchObject(others);
  expect(secretsOf(home, "orders").fields).toBe(JSON.stringify(keyringOf(home, "orders")));
});

test("when nothing runs the new key waits for the next start, and the old one stays", async () => {
  secretsOf(home, "identity");
  const said: string[] = [];
  const rotated = await rotateFields({
    home,
    run: null,
    services: ["identity"],
    say: (text) => said.push(text),
  });
  expect(rotated).toEqual([{ service: "identity", current: "k2", removed: [] }]);
  expect(Object.keys(keyringOf(home, "identity").keys)).toEqual(["k1", "k2"]);
  expect(said.join()).toContain("Run this again");
});

test("without keys, or for a service that has none, it says so", async () => {
  const rotate = (services?: string[], at = home) =>
    rotateFields({ home: at, run: null, services, say: () => {} });
  await expect(rotate(undefined, homeOf(dir, join(dir, "nowhere")))).rejects.toThrow("start the shop first");
  await expect(rotate(["nobody"])).rejects.toThrow("No service nobody has keys: there are identity, orders");
});

test("sidecars read their secrets again when the component of their store changes; no other does", () => {
  const folder = join(dir, "components");
  mkdirSync(folder);
  const component = (name: string, type: string) =>
    `# Why\nkind: Component\nmetadata: { name: ${name} }\nspec:\n  type: ${type}\n  metadata:\n    - name: secretsFile\n      envRef: X\n`;
  writeFileSync(join(folder, "secrets.yaml"), component("secrets", "secretstores.local.file"));
  writeFileSync(join(folder, "state.yaml"), component("state", "state.redis"));
  const copy = copyResources(home, [folder, folder]).get(folder) ?? "";
  const text = (file: string) => readFileSync(join(copy, file), "utf8");
  const before = text("secrets.yaml");
  reloadSecrets(home);
  const [first, state] = [text("secrets.yaml"), text("state.yaml")];
  expect(first).not.toBe(before);
  expect(parse(first).spec.metadata[0]).toEqual({ name: "secretsFile", envRef: "X" });
  expect(parse(first).spec.metadata).toHaveLength(2);
  reloadSecrets(home);
  expect(parse(text("secrets.yaml")).spec.metadata).toHaveLength(2);
  expect(text("state.yaml")).toBe(state);
  expect(readFileSync(join(folder, "secrets.yaml"), "utf8")).toBe(before);
});

test("what a service says of its keys is read from its metrics", () => {
  const text = [
    "# HELP souk_field_keys of it",
    'souk_field_keys{key="k2",service="orders"} 1',
    'souk_field_keys{key="k1",service="orders"} 0',
    'souk_fields_stale{key="none",service="orders"} 0',
    'souk_fields_stale{key="k1",service="orders"} 12',
    'souk_field_key_looks_total{of="fields",service="orders"} 7',
  ].join("\n");
  expect(read(text)).toEqual({ known: new Set(["k2", "k1"]), current: "k2", stale: 12, looks: 7 });
  expect(read("")).toEqual({ known: new Set(), current: undefined, stale: undefined, looks: 0 });
});
