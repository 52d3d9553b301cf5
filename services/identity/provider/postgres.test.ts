import { afterAll, beforeAll, expect, test } from "bun:test";
import { openPostgres } from "drizzle-outbox";
import { server } from "../../../packages/drizzle-outbox/test/postgres.ts";
import { exchange, refreshing, replicas, signIn } from "./sign-in.fixture.ts";

// What the other tests show on SQLite, once more where it could differ: several replicas on one PostgreSQL.

let several: Awaited<ReturnType<typeof replicas>>;
beforeAll(async () => {
  const { database } = await server();
  several = await replicas({ KEY_LEAD_MS: "0" }, await openPostgres(await database()));
}, 60_000);
afterAll(() => several?.stop());

test("signing in, rotation, reuse, rotation of keys and signing out, with replicas", async () => {
  const [one, two] = await Promise.all([several.start(), several.start()]);
  await one.request("/users", {
    method: "POST",
    body: { email: "ada@shop.test", password: "correct horse battery", name: "Ada" },
  });
  const browser = one.browse();
  const { code, verifier } = await signIn(browser);
  const codes = await Promise.all([one, two, one, two].map((app) => app.token(exchange(code, verifier))));
  expect(codes.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(1);

  const again = await signIn(browser);
  const first = await two.token(exchange(again.code, again.verifier));
  expect(first.status).toBe(200);
  const second = await one.token(refreshing(first.body.refresh_token));
  expect(second.status).toBe(200);
  expect((await two.request("/keys/rotate", { method: "POST", scopes: ["ops"] })).status).toBe(202);
  const races = await Promise.all(
    [one, two, one, two].map((app) => app.token(refreshing(second.body.refresh_token))),
  );
  expect(races.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(1);
  for (const { body } of races.filter(({ status }) => status === 200))
    expect((await two.token(refreshing(body.refresh_token))).body.error).toBe("invalid_grant");

  await browser.open("/session/end");
  await browser.submit("/session/end/confirm", {}, "logout");
  expect(browser.at.pathname).toBe("/session/end/success");
}, 60_000);
