import { bold, green, red, table } from "../terminal.ts";

/** What a drill came to. */
export interface Outcome {
  /** What should have been and was not. */
  failures: string[];
  /** What was right, and took longer than it may. */
  slow: string[];
  figures: Record<string, number | string>;
  /** More figures, a row each; the first row says what they are. */
  rows?: string[][];
}

export interface Verdict extends Outcome {
  drill: string;
  passed: boolean;
  seconds: number;
}

export const verdictOf = (drill: string, outcome: Outcome, seconds: number): Verdict => ({
  drill,
  passed: outcome.failures.length + outcome.slow.length === 0,
  seconds,
  ...outcome,
});

const shown = 20;

/** The verdict for a person. */
export function render({ drill, passed, failures: wrong, slow, figures, rows, seconds }: Verdict): string {
  const failures = [...wrong, ...slow];
  const more = failures.length > shown ? [`  … and ${failures.length - shown} more`] : [];
  return [
    "",
    table(Object.entries(figures).map(([name, value]) => [`  ${name}`, String(value)])),
    ...(rows ? ["", table(rows.map(([first = "", ...rest]) => [`  ${first}`, ...rest]))] : []),
    "",
    passed
      ? bold(green(`${drill}: passed (${Math.round(seconds)} s)`))
      : bold(red(`${drill}: failed (${Math.round(seconds)} s)`)),
    ...failures.slice(0, shown).map((failure) => `  ${failure}`),
    ...more,
    "",
  ].join("\n");
}
