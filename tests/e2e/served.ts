import { spawnSync } from "node:child_process";
import { relative, resolve } from "node:path";
import { covers } from "../../services/gateway/openapi-merge.ts";

/**
 * Operations that no example can show alone, by the test that does them: they need a link out of a mail, a person who
 * signs in, or somebody else's signature. Whoever is named here is held to it: when its shop stops, the gateway must
 * have counted a success of each.
 */
export const served: Record<string, string[]> = {
  "tests/e2e/cancel-and-return.test.ts": ["POST /api/orders/{id}/returns/{returnId}/receive"],
  "tests/e2e/dead-letters.test.ts": [
    "GET /api/dead-letters/{service}/{id}",
    "POST /api/dead-letters/{service}/{id}/discard",
    "POST /api/dead-letters/{service}/{id}/replay",
  ],
  "tests/e2e/every-path.test.ts": [
    "DELETE /api/keys/{kid}",
    "GET /api/carts/mine",
    "POST /api/carts/mine/merge",
  ],
  "tests/e2e/mail.test.ts": ["GET /unsubscribe", "POST /unsubscribe"],
  "tests/e2e/sessions.test.ts": ["GET /session/callback"],
  "tests/e2e/shipping.test.ts": [
    "GET /api/shipments/{id}",
    "POST /api/shipments/{id}/deliver",
    "POST /api/shipments/{id}/dispatch",
    "POST /api/shipping/webhooks/{carrier}",
  ],
  "tests/e2e/stripe.test.ts": ["POST /api/payments/webhooks/stripe"],
  "tests/e2e/users.test.ts": [
    "GET /api/users/me",
    "POST /api/users/reset-password",
    "POST /api/users/verify-email",
  ],
  "tests/e2e/webhooks.test.ts": ["POST /api/webhooks/{id}/deliveries/{deliveryId}/redeliver"],
  "tests/security/sign-in.test.ts": ["GET /me", "POST /me", "POST /token/revocation"],
};

/** @throws {Error} naming what the running test file is said to do, and its shop's gateway has not seen succeed */
export async function holdToIt(url: string): Promise<void> {
  const file = relative(resolve(import.meta.dir, "../.."), Bun.main);
  const claimed = served[file] ?? [];
  // Of a file that is run in part only a part can be asked.
  if (claimed.length === 0 || isFiltered()) return;
  const seen = successes(await (await fetch(`${url}/metrics`)).text());
  const missing = claimed.filter((one) => {
    const [method, path = ""] = one.split(" ");
    return !seen.some((success) => success.method === method && covers(success.route, path));
  });
  if (missing.length > 0)
    throw new Error(`tests/e2e/served.ts says that ${file} does ${missing.join(", ")}: it did not`);
}

const isFiltered = (): boolean => {
  const { stdout } = spawnSync("ps", ["-o", "args=", "-p", String(process.pid)], { encoding: "utf8" });
  return / (-t|--test-name-pattern)[ =]/.test(stdout);
};

/** What the gateway has answered with a success, by its own count. */
function successes(metrics: string): { method: string; route: string }[] {
  return metrics.split("\n").flatMap((line) => {
    if (!line.startsWith("http_server_request_duration_seconds_count{")) return [];
    const label = (name: string): string => new RegExp(`[{,]${name}="([^"]*)"`).exec(line)?.[1] ?? "";
    return /^[23]/.test(label("status")) ? [{ method: label("method"), route: label("route") }] : [];
  });
}
