import { expect, test } from "bun:test";
import { dapr, SidecarUnreachable } from "./index.ts";

const ok = () => new Response(null, { status: 204 });

test("ready waits until the sidecar answers", async () => {
  const answers = [
    () => {
      throw new TypeError("connection refused");
    },
    () => Response.json({ errorCode: "ERR_OUTBOUND_HEALTH_NOT_READY" }, { status: 500 }),
    ok,
  ];
  let asked = 0;
  const sidecar = dapr({ endpoint: "http://sidecar", fetch: async () => answers[asked++]?.() ?? ok() });
  await sidecar.ready({ timeout: 5_000 });
  expect(asked).toBe(3);
});

test("ready with timeout 0 asks once, and says why it is not", async () => {
  const sidecar = dapr({
    endpoint: "http://sidecar",
    fetch: async () => new Response("not yet", { status: 500 }),
  });
  const error = await sidecar.ready({ timeout: 0 }).catch((error) => error);
  expect(error).toBeInstanceOf(SidecarUnreachable);
  expect(error.message).toBe("The sidecar at http://sidecar is not ready: not yet");
});

test("ready ends when the caller gives up", async () => {
  const controller = new AbortController();
  const sidecar = dapr({
    endpoint: "http://sidecar",
    fetch: async () => {
      queueMicrotask(() => controller.abort(new Error("enough")));
      return new Response(null, { status: 500 });
    },
  });
  await expect(sidecar.ready({ signal: controller.signal })).rejects.toThrow("enough");
});
