import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { seed } from "../../packages/souk/src/seed.ts";
import { behind } from "../../services/gateway/ways.ts";
import { withBrowser } from "../security/browser.ts";
import { ask } from "../security/sidecars.ts";
import { eventually, type TestShop, testShop } from "./shop.ts";

let it: TestShop;
beforeAll(async () => {
  it = await testShop();
  await seed(it.shop.url, it.shop.home);
}, 600_000);
afterAll(() => it?.stop(), 60_000);

test.each(["openapi.json", "events.json"])("every service serves its own %s to the gateway", async (file) => {
  for (const service of behind) {
    const answer = await ask(it.shop, "gateway", `/v1.0/invoke/${service}/method/${file}`);
    expect([service, answer.status]).toEqual([service, 200]);
    const mine = join(import.meta.dir, "../../services", service, "contract", file);
    expect(JSON.parse(answer.text)).toEqual(JSON.parse(readFileSync(mine, "utf8")));
  }
});

test("the document is whole when a service is down, also for a gateway that has never heard of it", async () => {
  const document = async () =>
    (await fetch(`${it.shop.url}/openapi.json`)).json() as Promise<{ paths: object }>;
  const before = await document();
  await it.shop.halt("catalog");
  await it.shop.kill("gateway");
  await eventually(
    "the gateway is back",
    () =>
      fetch(`${it.shop.url}/health`).then(
        ({ ok }) => ok,
        () => false,
      ),
    60_000,
  );
  expect(await document()).toEqual(before);
  await it.shop.start("catalog");
  await it.shop.ready();
}, 120_000);

withBrowser("the API in Chromium", (open) => {
  test("is read and tried on a page that asks nobody but the shop", async () => {
    const page = await open({ javaScriptEnabled: true, viewport: { width: 1400, height: 900 } });
    const elsewhere: string[] = [];
    const refused: string[] = [];
    page.on("request", (request) => {
      if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(it.shop.url))
        elsewhere.push(request.url());
    });
    page.on("console", (said) => {
      // Attributes of the reference's own markup that place a pixel; the page is whole without them.
      const attribute = said.text().startsWith("Applying inline style");
      if (said.type() === "error" && !attribute) refused.push(said.text());
    });
    page.on("pageerror", (error) => refused.push(error.message));

    await page.goto(`${it.shop.url}/docs#tag/catalog/GET/api/products`);
    await page.getByRole("heading", { name: "Browse and search" }).first().waitFor({ timeout: 60_000 });
    await page
      .getByRole("button", { name: /Test Request/ })
      .first()
      .waitFor({ timeout: 60_000 });
    const operation = page.locator("section", {
      has: page.getByRole("heading", { name: "Browse and search" }),
    });
    await operation
      .getByRole("button", { name: /Test Request/ })
      .last()
      .click();
    const answered = page.waitForResponse(
      (response) => new URL(response.url()).pathname === "/api/products" && response.status() === 200,
      { timeout: 60_000 },
    );
    await page.getByRole("button", { name: /^Send/ }).first().click();
    const { items } = (await (await answered).json()) as { items: { sku: string }[] };
    expect(items.length).toBe(3);
    expect([elsewhere, refused]).toEqual([[], []]);
  }, 180_000);

  test("the events are read without a script", async () => {
    const page = await open();
    await page.goto(`${it.shop.url}/docs/events`);
    await page.getByRole("heading", { name: "order.placed" }).waitFor({ timeout: 60_000 });
    expect(await page.locator("script").count()).toBe(0);
  }, 120_000);
});
