import { describe, expect, test } from "bun:test";
import { dapr, InvocationAborted, InvocationTimeout, SidecarUnreachable } from "./index.ts";
import { methodPath } from "./invoke.ts";

function sidecar(
  answer: (init: RequestInit | undefined) => Promise<Response> | Response = () => new Response("ok"),
) {
  const calls: { url: string; init: RequestInit | undefined }[] = [];
  const made = dapr({
    endpoint: "http://sidecar",
    apiToken: "secret",
    fetch: async (url, init) => {
      calls.push({ url, init });
      return answer(init);
    },
  });
  const headers = () => Object.fromEntries(new Headers(calls.at(-1)?.init?.headers));
  return { ...made, calls, headers };
}

/** Answers never, but gives up as `fetch` does. */
const never = (init: RequestInit | undefined) =>
  new Promise<Response>((_, reject) => {
    if (init?.signal?.aborted) reject(init.signal.reason);
    init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
  });

describe("methodPath", () => {
  test.each([
    ["http://inventory/stock/1?a=b%20c", "/v1.0/invoke/inventory/method/stock/1?a=b%20c"],
    ["http://inventory", "/v1.0/invoke/inventory/method/"],
    ["http://inventory:80/x#part", "/v1.0/invoke/inventory/method/x"],
    ["http://Order-Service.prod/x", "/v1.0/invoke/Order-Service.prod/method/x"],
    ["http://user:pass@inventory/x", "/v1.0/invoke/inventory/method/x"],
    ["http://inventory/a%2Fb", "/v1.0/invoke/inventory/method/a%252Fb"],
    ["http://inventory/50%25", "/v1.0/invoke/inventory/method/50%2525"],
    ["http://inventory/50% off", "/v1.0/invoke/inventory/method/50%2525%2520off"],
    ["http://inventory/é", "/v1.0/invoke/inventory/method/%25C3%25A9"],
    ["http://inventory/a/../../../v1.0/shutdown", "/v1.0/invoke/inventory/method/v1.0/shutdown"],
    ["http://inventory/%2e%2e/%2E./x", "/v1.0/invoke/inventory/method/x"],
    ["http://inventory/a\\..\\..\\b", "/v1.0/invoke/inventory/method/b"],
  ])("%s", (address, path) => {
    expect(methodPath(address)).toBe(path);
  });

  test("refuses what is no absolute URL", () => {
    expect(() => methodPath("/stock/1")).toThrow();
  });
});

describe("fetch", () => {
  test("passes method, headers and body on, with the token", async () => {
    const { fetch, calls, headers } = sidecar();
    await fetch("http://inventory/stock", { method: "PUT", body: "{}", headers: { "if-match": '"1"' } });
    expect(calls[0]?.url).toBe("http://sidecar/v1.0/invoke/inventory/method/stock");
    expect(calls[0]?.init).toMatchObject({ method: "PUT", body: "{}", redirect: "manual" });
    expect(headers()).toMatchObject({ "if-match": '"1"', "dapr-api-token": "secret" });
  });

  test("takes a Request, and what is said besides it comes first", async () => {
    const { fetch, calls, headers } = sidecar();
    const request = new Request("http://inventory/stock", {
      method: "POST",
      body: "a",
      headers: { "x-a": "1" },
    });
    await fetch(request);
    expect(calls[0]?.init?.method).toBe("POST");
    expect(headers()).toMatchObject({ "x-a": "1" });
    expect(await new Response(calls[0]?.init?.body as ReadableStream).text()).toBe("a");
    await fetch(new Request("http://inventory/x"), { method: "DELETE", headers: { "x-b": "2" } });
    expect(calls[1]?.init?.method).toBe("DELETE");
    expect(headers()).toMatchObject({ "x-b": "2" });
    expect(await (await fetch(new URL("http://inventory/y"))).text()).toBe("ok");
  });

  test("leaves out what belongs to one connection or leads elsewhere", async () => {
    const { fetch, headers } = sidecar();
    const aside = {
      host: "shop.example",
      connection: "keep-alive",
      "dapr-app-id": "payments",
      "dapr-api-token": "forged",
      authorization: `Basic ${btoa("DAPR-app-id:payments")}`,
    };
    await fetch("http://inventory/x", { headers: aside });
    expect(headers()).toEqual({ "dapr-api-token": "secret" });
    for (const authorization of [`Basic ${btoa("ann:secret")}`, "Basic !", "Bearer x"]) {
      await fetch("http://inventory/x", { headers: { authorization } });
      expect(headers().authorization).toBe(authorization);
    }
  });

  test("passes the trace on unless the call has one", async () => {
    const { traced, calls } = sidecar();
    const sent = () => new Headers(calls.at(-1)?.init?.headers).get("traceparent");
    await traced("00-a-b-01").fetch("http://inventory/x");
    expect(sent()).toBe("00-a-b-01");
    await traced("00-a-b-01").fetch("http://inventory/x", { headers: { traceparent: "00-c-d-01" } });
    expect(sent()).toBe("00-c-d-01");
    await traced(undefined).fetch("http://inventory/x");
    expect(sent()).toBeNull();
  });

  test("throws InvocationTimeout when the answer does not come in time", async () => {
    const error = await sidecar(never)
      .fetch("http://inventory/x", { timeout: 5 })
      .catch((error) => error);
    expect(error).toBeInstanceOf(InvocationTimeout);
    expect(error.timeout).toBe(5);
    expect(error.message).toBe("http://inventory/x did not answer within 5 ms");
  });

  test("throws an AbortError when the caller gives up, with or without a timeout", async () => {
    for (const timeout of [undefined, 10_000]) {
      const controller = new AbortController();
      const promise = sidecar(never).fetch("http://inventory/x", { signal: controller.signal, timeout });
      controller.abort("enough");
      const error = await promise.catch((error) => error);
      expect(error).toBeInstanceOf(InvocationAborted);
      expect([error.name, error.cause]).toEqual(["AbortError", "enough"]);
    }
  });

  test("heeds the signal of a Request", async () => {
    const controller = new AbortController();
    const promise = sidecar(never).fetch(new Request("http://inventory/x", { signal: controller.signal }));
    controller.abort();
    await expect(promise).rejects.toBeInstanceOf(InvocationAborted);
  });

  test("throws SidecarUnreachable when nothing answers", async () => {
    const { fetch } = sidecar(() => Promise.reject(new TypeError("connection refused")));
    const error = await fetch("http://inventory/x", { timeout: 1000 }).catch((error) => error);
    expect(error).toBeInstanceOf(SidecarUnreachable);
    expect(error.message).toBe("The sidecar at http://sidecar cannot be reached: connection refused");
    const real = dapr({ endpoint: "http://127.0.0.1:1" });
    await expect(real.fetch("http://inventory/x")).rejects.toBeInstanceOf(SidecarUnreachable);
  });
});
