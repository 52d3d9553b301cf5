import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
const page = readFileSync(join(root, "docs/security/rfc9700.md"), "utf8");
const rows = page.split("\n").filter((line) => /^\| \d/.test(line));

interface Row {
  section: string;
  file: string;
  name: string;
}

const named: Row[] = rows.map((line) => {
  const [, section = "", , , last = ""] = line.split("|").map((cell) => cell.trim());
  const [, file = "", name = ""] = /^`([^`]+)` › (.+)$/.exec(last) ?? [];
  return { section, file, name };
});

test("every section of the practices and of the attacks is in the table", () => {
  const sections = new Set(named.map(({ section }) => section));
  const demanded = ["2.1", "2.1.1", "2.1.2", "2.2.1", "2.2.2", "2.3", "2.4", "2.5", "2.6"];
  const attacks = Array.from({ length: 17 }, (_, at) => `4.${at + 1}`);
  for (const section of [...demanded, ...attacks]) expect(sections).toContain(section);
});

test.each(named)("$section is defended by a test: $name", ({ file, name }) => {
  expect(existsSync(join(root, file))).toBe(true);
  const code = readFileSync(join(root, file), "utf8");
  const written = JSON.stringify(name).slice(1, -1);
  const called = [`"${written}"`, `'${name}'`, `\`${name}\``].some((text) =>
    new RegExp(`test(\\.each\\([\\s\\S]*?\\))?\\(\\s*${escaped(text)}`).test(code),
  );
  expect(called, `${file} has no test "${name}"`).toBe(true);
});

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
