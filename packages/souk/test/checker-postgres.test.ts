import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import pg from "pg";
import { AnswersLog } from "../src/chaos/answers.ts";
import { readContracts } from "../src/chaos/checker/contracts.ts";
import { check, history } from "../src/chaos/checker/index.ts";
import { book, Files, migrations, root, sql, writeAnswers } from "../src/chaos/checker/sample.ts";
import { type PostgresServer, startPostgres } from "../src/chaos/postgres.ts";

setDefaultTimeout(120_000);

const services = readContracts(root).keepers;
const files = new Files();
let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres(services);
  for (const service of services) {
    const mine = sql().filter(([name]) => name === service);
    await run(service, [...migrations(service, "postgres"), ...mine.map(([, statement]) => statement)]);
  }
  const provider = sql().filter(([name]) => name === "test-provider");
  for (const statement of [book, ...provider.map(([, each]) => each)])
    await files.run("test-provider", statement);
  const log = new AnswersLog(files.answers);
  writeAnswers(log);
  log.close();
});

afterAll(async () => {
  await server.stop({ keep: false });
  files.remove();
});

async function run(service: string, statements: string[]): Promise<void> {
  const client = new pg.Client(server.url(service));
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

const place = () => ({
  home: files.home,
  root,
  answers: files.answers,
  stores: Object.fromEntries(services.map((service) => [service, server.url(service)])),
});

test("stores in PostgreSQL are read as those in files are", async () => {
  const { violations, figures } = await check(place());
  expect(violations).toEqual([]);
  expect(figures).toMatchObject({ orders: 4, confirmed: 2, soldUnits: 3, postings: 12, events: 42 });
  expect(await history(place(), "o-3")).toContain("refund 500 GBP: refunded");

  await run("inventory", ["update stock set reserved = 3"]);
  await run("payments", [
    "update ledger_postings set credit = credit - 1 where entry = 'o-1:capture' and credit > 0",
  ]);
  const rules = new Set((await check(place())).violations.map(({ rule }) => rule));
  expect([...rules].sort()).toEqual(["ledger-balances", "stock-adds-up"]);
});
