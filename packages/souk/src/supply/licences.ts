import type { Locked } from "./lockfile.ts";

/** What may be part of software under Apache-2.0 without any duty beyond naming it. SPDX identifiers. */
export const allowed = new Set([
  "0BSD",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "BlueOak-1.0.0",
  "CC0-1.0",
  "ISC",
  "MIT",
  "MIT-0",
  "PostgreSQL",
  "Python-2.0",
  "Unlicense",
]);

/** Whether an SPDX expression can be met with what is allowed: of `OR` one, of `AND` all. */
export function isAllowed(expression: string | undefined): boolean {
  if (!expression) return false;
  return expression
    .replace(/[()]/g, "")
    .split(/\s+OR\s+/)
    .some((choice) => choice.split(/\s+AND\s+/).every((id) => allowed.has(id.trim())));
}

/** How many packages are under each licence, the most frequent first. */
export function byLicence(packages: readonly Locked[]): [licence: string, count: number][] {
  const groups = Map.groupBy(packages, ({ license }) => license ?? "not said");
  return [...groups].map(([id, some]): [string, number] => [id, some.length]).sort((a, b) => b[1] - a[1]);
}
