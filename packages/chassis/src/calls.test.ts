import { expect, test } from "bun:test";
import { dapr, SidecarUnreachable } from "hono-dapr";
import { callService, isFrom } from "./calls.ts";

const asking = (answer: Response) => {
  const asked: string[] = [];
  const sidecar = dapr({
    endpoint: "http://sidecar",
    async fetch(input) {
      asked.push(input);
      return answer;
    },
  });
  return { asked, call: () => callService({ sidecar }, "orders", "contacts/o-1", { method: "GET" }) };
};
const from = (service: string, status = 200) =>
  new Response("{}", { status, headers: service === "" ? {} : { "x-answered-by": service } });

test("a service's own answer is given as it is, whatever it says", async () => {
  for (const status of [200, 404, 503]) {
    const { asked, call } = asking(from("orders", status));
    expect((await call()).status).toBe(status);
    expect(asked[0]).toContain("/invoke/orders/method/contacts/o-1");
  }
});

test.each([
  ["a sidecar that says 200 with nothing in it", new Response(null, { status: 200 })],
  ["a sidecar that cannot reach it", from("", 500)],
  ["another service", from("payments")],
])("%s is no answer", async (_, answer) => {
  await expect(asking(answer).call()).rejects.toBeInstanceOf(SidecarUnreachable);
  expect(isFrom("orders", answer)).toBe(false);
});
