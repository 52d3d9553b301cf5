import { describe, expect, test } from "bun:test";
import type { Config } from "chassis";
import { remembered, stripeAddress, stripeClient } from "./stripe-client.ts";

describe("a secret", () => {
  test("is read once in ten seconds, and anew after that", async () => {
    let [now, reads] = [0, 0];
    const read = remembered(
      async (name) => `${name} ${++reads}`,
      () => now,
    );
    expect(await Promise.all([read("a"), read("a"), read("b")])).toEqual(["a 1", "a 1", "b 2"]);
    now = 9_999;
    expect(await read("a")).toBe("a 1");
    now = 10_000;
    expect(await read("a")).toBe("a 3");
  });

  test("that could not be read is asked for again at once", async () => {
    let away = true;
    const read = remembered(async () => {
      if (away) throw new Error("away");
      return "here";
    });
    await expect(read("a")).rejects.toThrow("away");
    away = false;
    expect(await read("a")).toBe("here");
  });

  test("that was replaced is what Stripe is shown from then on", async () => {
    let key = "sk_test_1\n";
    const shown: (string | null)[] = [];
    const client = stripeClient({
      secret: async () => key,
      address: stripeAddress({ env: {} } as Config),
      timeout: 1_000,
      fetch: (async (url: string, init: RequestInit) => {
        const { headers } = new Request(url, init);
        shown.push(`${new URL(url).origin} ${headers.get("authorization")} ${headers.get("stripe-version")}`);
        return Response.json({ id: "pi_1", object: "payment_intent" });
      }) as typeof fetch,
    });
    await (await client()).paymentIntents.retrieve("pi_1");
    key = "sk_test_2";
    await (await client()).paymentIntents.retrieve("pi_1");
    expect(shown).toEqual([
      "https://api.stripe.com Bearer sk_test_1 2026-10-28.endive",
      "https://api.stripe.com Bearer sk_test_2 2026-10-28.endive",
    ]);
  });
});

describe("where Stripe is", () => {
  const at = (env: Config["env"]) => stripeAddress({ env } as Config);

  test("can be said for tests, and for nothing else", () => {
    expect(at({ STRIPE_API_BASE: "http://127.0.0.1:12111" })).toEqual({
      protocol: "http",
      host: "127.0.0.1",
      port: "12111",
    });
    expect(at({ STRIPE_API_BASE: "https://stripe.test" })).toMatchObject({ protocol: "https", port: "443" });
    expect(at({ NODE_ENV: "production" })).toMatchObject({ host: "api.stripe.com" });
    expect(() => at({ NODE_ENV: "production", STRIPE_API_BASE: "https://stripe.test" })).toThrow(
      "is for tests",
    );
    expect(() => at({ STRIPE_API_BASE: "ftp://stripe.test" })).toThrow("must be an http address");
    expect(() => at({ STRIPE_API_BASE: "nonsense" })).toThrow();
  });
});
