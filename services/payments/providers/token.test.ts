import { expect, test } from "bun:test";
import type { Kit } from "chassis";
import { createSealed } from "../../../packages/chassis/src/sealed.ts";
import type { Call } from "../calls.ts";
import { withToken } from "./token.ts";

const key = (fill: number) => Buffer.alloc(32, fill).toString("base64url");
const log = { error() {}, info() {} };
let ring = { current: "k1", keys: { k1: key(1) } as Record<string, string> };
const keys = () => createSealed({ name: "payment-tokens", load: async () => JSON.stringify(ring), log });
const call = (token: string, orderId = "o-1"): Call => ({
  key: "o-1:authorise",
  orderId,
  method: "test",
  operation: "authorise",
  amount: { amount: 1, currency: "GBP" },
  token,
});

test("a token is opened for its order alone; one that came open is taken as it is", async () => {
  const [orders, payments] = [keys(), keys()];
  await orders.ready();
  const kit = { shared: () => payments } as unknown as Kit<unknown>;
  expect(await withToken(call("tok_ok"), kit)).toEqual(call("tok_ok"));
  const sealed = orders.seal("tok_ok", "payment.token", "o-1");
  expect(await withToken(call(sealed), kit)).toEqual(call("tok_ok"));
  await expect(withToken(call(sealed, "o-2"), kit)).rejects.toThrow("does not open");

  // A key that orders knows first.
  ring = { current: "k2", keys: { k1: key(1), k2: key(2) } };
  await orders.refresh();
  expect(await withToken(call(orders.seal("tok_ok", "payment.token", "o-1")), kit)).toEqual(call("tok_ok"));
});
