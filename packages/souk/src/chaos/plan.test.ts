import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { rules } from "./checker/index.ts";
import { customers } from "./customers.ts";
import { type FaultOptions, faults, describe as told } from "./faults.ts";
import { goods } from "./goods.ts";
import { random } from "./random.ts";

const services = ["gateway", "orders", "payments"];
const plan = (over: Partial<FaultOptions> = {}) =>
  faults({
    seed: "1",
    count: 500,
    ms: 60_000,
    services,
    stores: ["orders", "payments"],
    postgres: true,
    spare: [],
    ...over,
  });

describe("faults", () => {
  test("are the same for the same seed, and others for another", () => {
    expect(plan()).toEqual(plan());
    expect(plan({ seed: "2" })).not.toEqual(plan());
  });

  test("come in order, within the run, and hurt everything in every way", () => {
    const all = plan();
    expect(all).toHaveLength(500);
    expect(all.every(({ at }) => at > 0 && at < 60_000)).toBe(true);
    expect(all.map(({ at }) => at)).toEqual(all.map(({ at }) => at).toSorted((a, b) => a - b));
    const kinds = new Set(all.map(told).map((text) => text.replace(/ for .*/, "")));
    for (const name of ["gateway", "orders", "orders-sidecar", "redis", "sentry", "postgres"]) {
      expect(kinds).toContain(`kill -9 ${name}`);
      expect(kinds).toContain(`freeze ${name}`);
    }
    for (const manner of ["refuse", "hang", "reset"]) {
      expect(kinds).toContain(`cut orders from orders-sidecar (${manner})`);
      expect(kinds).toContain(`cut orders-sidecar from redis (${manner})`);
      expect(kinds).toContain(`cut orders from postgres (${manner})`);
    }
    for (const fault of all) if ("ms" in fault) expect(fault.ms >= 500 && fault.ms <= 8_000).toBe(true);
  });

  test("spare what is to be spared: a service with its sidecar, and all connections to it", () => {
    const texts = plan({ spare: ["orders", "payments-sidecar", "redis", "postgres"] }).map(told);
    expect(texts.filter((text) => /orders|redis|postgres|payments-sidecar/.test(text))).toEqual([]);
    expect(texts.some((text) => text.startsWith("kill -9 payments"))).toBe(true);
    expect(plan({ spare: [...services, "redis", "sentry", "postgres"] })).toEqual([]);
  });

  test("leave a database alone that is a file", () => {
    expect(plan({ postgres: false }).map(told).join()).not.toContain("postgres");
  });
});

describe("customers", async () => {
  const forSale = await goods(random("1", "goods"));
  const all = customers("1", forSale, 2_000, 60_000);

  test("are the same for the same seed, and others for another", () => {
    expect(customers("1", forSale, 2_000, 60_000)).toEqual(all);
    expect(customers("2", forSale, 2_000, 60_000)).not.toEqual(all);
  });

  test("come one after the other, with keys that nobody else has", () => {
    expect(all.map(({ at }) => at)).toEqual(all.map(({ at }) => at).toSorted((a, b) => a - b));
    const keys = all.flatMap(({ key }) => key ?? []);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys.length).toBeLessThan(all.length);
    for (const { copies, hangsUpAfter, key } of all)
      if (copies > 1 || hangsUpAfter !== undefined) expect(key).toBeDefined();
  });

  test("include every real sale once, and all kinds of payment and behaviour", () => {
    const references = all.flatMap(({ order }) => (order.reference as string | undefined) ?? []);
    expect(references.toSorted()).toEqual(forSale.orders.map(({ reference }) => reference).toSorted());
    const tokens = new Set(all.map(({ order }) => (order.payment as { token: string }).token));
    expect([...tokens].toSorted()).toEqual([
      "tok_declined",
      "tok_flaky",
      "tok_ok",
      "tok_slow",
      "tok_timeout",
    ]);
    const deeds = new Set(all.map(({ afterwards }) => afterwards.do));
    expect([...deeds].toSorted()).toEqual(["cancel", "cancel some", "follow", "nothing", "refund", "return"]);
    expect(all.some(({ guest }) => guest)).toBe(true);
  });

  test("ask for few things often, and for some that are scarce", () => {
    const counts = new Map<string, number>();
    for (const { order } of all)
      for (const { sku } of order.lines as { sku: string }[]) counts.set(sku, (counts.get(sku) ?? 0) + 1);
    const [first = "", tenth = ""] = [forSale.popular[0], forSale.popular[9]];
    expect(counts.get(first) ?? 0).toBeGreaterThan(4 * (counts.get(tenth) ?? 0));
    expect(forSale.scarce.some((sku) => (counts.get(sku) ?? 0) > 0)).toBe(true);
  });
});

test("docs/chaos.md names every rule of the checker", async () => {
  const page = await Bun.file(join(import.meta.dir, "../../../../docs/chaos.md")).text();
  for (const [rule, says] of Object.entries(rules)) expect(page).toContain(`| \`${rule}\` | ${says} |`);
});
