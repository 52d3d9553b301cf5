import type { Command } from "commander";
import { bold, green, red, table } from "../../terminal.ts";
import { type RuleName, rules } from "../checker/index.ts";
import { named, runAll } from "./all.ts";
import { bugs } from "./planted.ts";
import type { Found } from "./run.ts";

/** Registers `chaos bugs`: the check of the checker. */
export function bugsCommand(chaos: Command, root: string): void {
  chaos
    .command("bugs")
    .description(
      "plant bugs in copies of this checkout, one at a time, and see that the checker finds each; exit code 1 when it misses one",
    )
    .option(
      "--only <names>",
      "these bugs alone, with commas between",
      (text: string) => text.split(",").filter(Boolean),
      [],
    )
    .action(async ({ only }: { only: string[] }) => {
      const wanted = named(only);
      const stop = new AbortController();
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
        process.on(signal, () => stop.abort(new Error("interrupted")));
      const began = performance.now();
      let done = 0;
      const all = only.length === 0 ? [undefined, ...wanted] : wanted;
      const found = await runAll(
        root,
        all,
        (one) => process.stderr.write(`${++done}/${all.length} ${line(one).join("  ")}\n`),
        stop.signal,
      );
      process.stdout.write(`${render(found)}\n`);
      const seconds = ((performance.now() - began) / 1000).toFixed(0);
      const missed = found.filter(({ right }) => !right).map(({ name }) => name);
      const result = missed.length === 0 ? green("all found") : red(`wrong: ${missed.join(", ")}`);
      process.stdout.write(`${found.length} shops in ${seconds} s: ${result}\n`);
      if (missed.length > 0) process.exitCode = 1;
    });
}

/** The table of bugs and what found them. */
export function render(found: Found[]): string {
  const order = new Map(bugs.map(({ name }, index) => [name, index]));
  const sorted = found.toSorted((a, b) => (order.get(a.name) ?? -1) - (order.get(b.name) ?? -1));
  return table([["", "bug", "found by", "seconds"].map(bold), ...sorted.map(line)]);
}

function line({ name, right, broken, expected, ms }: Found): string[] {
  const count = (some: RuleName[]) => some.map((rule) => `${rule} (${broken.get(rule)})`).join(", ");
  const by = count([...broken.keys()].filter((rule) => expected.includes(rule) || name === "none"));
  const clean = `${Object.keys(rules).length} rules hold`;
  return [
    right ? green("✓") : red("✗"),
    name,
    by || (name === "none" ? clean : "nothing that should"),
    (ms / 1000).toFixed(1),
  ];
}
