import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
const page = readFileSync(join(root, "docs/security/owasp.md"), "utf8");
const named = page
  .split("\n")
  .filter((line) => /^\| API\d/.test(line))
  .map((line) => {
    const [, risk = "", , last = ""] = line.split("|").map((cell) => cell.trim());
    const [, file = "", name = ""] = /^`([^`]+)` › (.+)$/.exec(last) ?? [];
    return { risk, file, name };
  });

test("each of the ten is on the page", () => {
  const risks = new Set(named.map(({ risk }) => risk.split(" ")[0]));
  expect([...risks]).toEqual(Array.from({ length: 10 }, (_, at) => `API${at + 1}`));
});

test.each(named)("$risk is defended by a test: $name", ({ file, name }) => {
  expect(existsSync(join(root, file)), file).toBe(true);
  const code = readFileSync(join(root, file), "utf8");
  const written = JSON.stringify(name).slice(1, -1);
  const called = [`"${written}"`, `'${name}'`, `\`${name}\``].some((text) =>
    new RegExp(`\\btest(\\.each\\b[\\s\\S]*?\\))?\\(\\s*${escaped(text)}`).test(code),
  );
  expect(called, `${file} has no test "${name}"`).toBe(true);
});

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
