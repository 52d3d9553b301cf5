import { describe, expect, test } from "bun:test";
import Stripe from "stripe";
import { signed } from "../../../tests/stripe/signed.ts";
import { BadSignature, readWebhook, secretsIn } from "./stripe-webhook.ts";

// Signatures made once with another tool (HMAC-SHA256 of "<time>.<body>", https://docs.stripe.com/webhooks/signature).
const recorded = [
  {
    name: "plain",
    secret: "whsec_test_secret",
    at: 1492774577,
    body: '{"id":"evt_1","object":"event","type":"payment_intent.succeeded","data":{"object":{"id":"pi_1","object":"payment_intent","metadata":{"orderId":"o-1"}}}}',
    signature: "ff680262344b8f75c9531e3333d8ee10b13241af2e89b1e1c82657bf6c809294",
  },
  {
    name: "pretty, as Stripe sends it",
    secret: "whsec_8d2f5c1e9b7a4c3d6e0f1a2b3c4d5e6f",
    at: 1767225600,
    body: '{\n  "id": "evt_2",\n  "object": "event",\n  "type": "charge.refunded",\n  "data": {\n    "object": {\n      "id": "ch_2",\n      "object": "charge",\n      "payment_intent": "pi_2"\n    }\n  }\n}',
    signature: "b080c1bd9b1664272c52fd6a3b5cfdd8fc7fcf6b3bc9792560d010aba1a7636b",
  },
  {
    name: "beyond ASCII",
    secret: "whsec_ü",
    at: 1893456000,
    body: '{"id":"evt_3","object":"event","type":"customer.created","data":{"object":{"name":"Zoë 🛍"}}}',
    signature: "ab77811032f4be632f2e8eb7dd5fdd0eba1b52d5be4f433dd14f29c2ac88ece8",
  },
];
const bytes = (text: string) => new TextEncoder().encode(text);
const first = recorded[0] as (typeof recorded)[number];
const read = (over: Partial<typeof first> & { header?: string; now?: number; secrets?: string[] } = {}) => {
  const one = { ...first, ...over };
  const header = over.header ?? `t=${one.at},v1=${one.signature}`;
  return readWebhook(bytes(one.body), header, over.secrets ?? [one.secret], over.now ?? one.at * 1_000);
};

describe.each(recorded)("the recorded signature, $name,", (one) => {
  test("is what Stripe's library makes, and what our tests make", async () => {
    const { secret, at: timestamp, body: payload, signature } = one;
    const header = `t=${timestamp},v1=${signature}`;
    const made = await Stripe.webhooks.generateTestHeaderStringAsync({ secret, timestamp, payload });
    expect(made).toBe(header);
    expect(signed(payload, secret, timestamp * 1_000).headers["stripe-signature"]).toBe(header);
  });

  test("holds for five minutes, for these very bytes and this secret", async () => {
    const { id } = JSON.parse(one.body) as { id: string };
    expect(await read(one)).toMatchObject({ id });
    expect(await read({ ...one, now: (one.at + 300) * 1_000 })).toMatchObject({ id });
    for (const wrong of [
      { now: (one.at + 301) * 1_000 },
      { body: `${one.body} ` },
      { body: one.body.replace("evt", "evT") },
      { secret: `${one.secret}x` },
      { at: one.at + 1 },
      { signature: one.signature.toUpperCase() },
      { signature: one.signature.slice(1) },
    ]) {
      await expect(read({ ...one, now: one.at * 1_000, ...wrong })).rejects.toThrow(BadSignature);
    }
  });
});

describe("a signature", () => {
  test.each([
    "",
    "t=1",
    "v1=00",
    `v1=${first.signature}`,
    `t=x,v1=${first.signature}`,
    "t=1492774577",
    "nonsense",
  ])("that reads %j does not hold", async (header) => {
    await expect(read({ header })).rejects.toThrow(BadSignature);
  });

  test("of the old scheme, v0, does not count", async () => {
    await expect(read({ header: `t=${first.at},v0=${first.signature}` })).rejects.toThrow(BadSignature);
  });

  test("that is absent does not hold", async () => {
    await expect(readWebhook(bytes(first.body), undefined, [first.secret], 0)).rejects.toThrow(BadSignature);
  });

  test("made with the old secret or the new one holds while both are known", async () => {
    const secrets = secretsIn("whsec_new, whsec_old\n");
    expect(secrets).toEqual(["whsec_new", "whsec_old"]);
    for (const secret of [["whsec_old"], ["whsec_new"], ["whsec_gone", "whsec_new"]]) {
      const { body, headers } = signed(JSON.parse(first.body), secret);
      const told = await readWebhook(bytes(body), headers["stripe-signature"], secrets, Date.now());
      expect(told).toEqual({ id: "evt_1", type: "payment_intent.succeeded", reference: "pi_1" });
    }
    const { body, headers } = signed(JSON.parse(first.body), "whsec_gone");
    const gone = readWebhook(bytes(body), headers["stripe-signature"], secrets, Date.now());
    await expect(gone).rejects.toThrow(BadSignature);
  });

  test("of no secret at all does not hold", async () => {
    await expect(read({ secrets: [] })).rejects.toThrow(BadSignature);
    await expect(read({ secrets: [""] })).rejects.toThrow(BadSignature);
  });
});

describe("what is heard", () => {
  const told = (event: object) => {
    const { body, headers } = signed({ id: "evt_9", object: "event", ...event }, "whsec_1");
    return readWebhook(bytes(body), headers["stripe-signature"], ["whsec_1"], Date.now());
  };
  const object = { id: "pi_9", object: "payment_intent" };

  test.each([
    ["payment_intent.succeeded", object],
    ["payment_intent.canceled", object],
    ["payment_intent.payment_failed", object],
    ["charge.refunded", { id: "ch_9", object: "charge", payment_intent: "pi_9" }],
    ["refund.failed", { id: "re_9", object: "refund", payment_intent: "pi_9" }],
    ["charge.dispute.created", { id: "du_9", object: "dispute", payment_intent: { id: "pi_9" } }],
    ["charge.dispute.closed", { id: "du_9", object: "dispute", payment_intent: "pi_9" }],
  ])("%s names the payment to look at", async (type, data) => {
    expect(await told({ type, data: { object: data } })).toEqual({ id: "evt_9", type, reference: "pi_9" });
  });

  test.each([
    ["customer.created", { object }],
    ["payment_intent.created", { object }],
    ["charge.refunded", { object: { id: "ch_9", object: "charge", payment_intent: null } }],
    ["charge.refunded", { object: { id: "ch_9", object: "charge", payment_intent: "pi_9/../../refunds" } }],
    ["charge.refunded", undefined],
  ])("%s %j is left alone", async (type, data) => {
    expect(await told({ type, data })).toEqual({ id: "evt_9", type });
  });

  test("what happens on connected accounts is left alone", async () => {
    const type = "payment_intent.succeeded";
    expect(await told({ type, account: "acct_1", data: { object } })).toEqual({ id: "evt_9", type });
  });
});
