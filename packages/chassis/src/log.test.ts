import { expect, test } from "bun:test";
import { createLog } from "./log.ts";

test("tokens, secrets and what is personal do not pass under their names", () => {
  const lines: string[] = [];
  const log = createLog({ name: "test", logLevel: "info" }, { write: (line) => void lines.push(line) });
  const own = { token: "canary-1", email: "canary-2", password: "canary-3", orderKey: "canary-4" };
  log.info({
    ...own,
    request: { authorization: "canary-5", ...own },
    order: { customer: { name: "canary-6" } },
  });
  log.warn({ event: "e-1", customer: "canary-7" }, "was not handled");
  expect(lines.join()).not.toContain("canary");
  expect(JSON.parse(lines[1] ?? "")).toMatchObject({
    level: "warn",
    service: "test",
    event: "e-1",
    message: "was not handled",
  });
});
