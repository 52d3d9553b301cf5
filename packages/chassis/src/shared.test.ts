import { expect, test } from "bun:test";
import { dapr } from "hono-dapr";
import { openShared, sealShared, secretOf } from "./shared.ts";

const value = Buffer.alloc(32, 7).toString("base64url");

/** A secret store that a test rules over. */
function rig(answer: () => Response = () => Response.json({ mail: value })) {
  let [asked, time] = [0, 1_000_000];
  const sidecar = dapr({
    endpoint: "http://sidecar",
    async fetch() {
      asked++;
      return answer();
    },
  });
  return { sidecar, now: () => time, pass: (ms: number) => (time += ms), asked: () => asked };
}
const away = () => Response.json({ errorCode: "ERR_SECRET_GET", message: "away" }, { status: 500 });

test("what one seals another opens who has the same secret, and nobody else", async () => {
  const sealed = await sealShared(rig(), "mail", "Ada, ada@example.com");
  expect(sealed.split(".")).toHaveLength(5);
  expect(sealed).not.toContain("Ada");
  expect(await openShared(rig(), "mail", sealed)).toBe("Ada, ada@example.com");
  const other = rig(() => Response.json({ mail: Buffer.alloc(32, 8).toString("base64url") }));
  expect(await openShared(other, "mail", sealed)).toBeUndefined();
  const changed = sealed.replace(/[^.](?=[^.]*$)/, (first) => (first === "A" ? "B" : "A"));
  expect(await openShared(rig(), "mail", changed)).toBeUndefined();
  expect(await openShared(rig(), "mail", "no JWE")).toBeUndefined();
});

test("sealing twice gives two texts", async () => {
  const one = rig();
  expect(await sealShared(one, "mail", "x")).not.toBe(await sealShared(one, "mail", "x"));
});

test("a secret is read once a minute, and kept while the store is away", async () => {
  let answer = (): Response => Response.json({ mail: value });
  const one = rig(() => answer());
  await Promise.all([secretOf(one, "mail"), secretOf(one, "mail")]);
  expect(one.asked()).toBe(1);
  answer = away;
  one.pass(60_001);
  expect((await secretOf(one, "mail")).byteLength).toBe(32);
  expect(one.asked()).toBe(2);
});

test("one that was never read is an error each time, and so is one of another length", async () => {
  const one = rig(away);
  await expect(secretOf(one, "mail")).rejects.toThrow("away");
  await expect(secretOf(one, "mail")).rejects.toThrow("away");
  expect(one.asked()).toBe(2);
  await expect(
    secretOf(
      rig(() => Response.json({ mail: "c2hvcnQ" })),
      "mail",
    ),
  ).rejects.toThrow("32 bytes");
});
