/** Of a version such as "1.18.2", "v1.18.2" or "7.0.15"; null for "edge" and for release candidates. */
export function parseVersion(text: string): [number, number, number] | null {
  const match = /^v?(\d+)\.(\d+)(?:\.(\d+))?$/.exec(text.trim());
  return match ? [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)] : null;
}

/** Whether `version` is at least `from` and, if given, below `below`. What is no plain version is in no range. */
export function within(version: string, from: string, below?: string): boolean {
  return (
    atLeast(version, from) &&
    (below === undefined || (parseVersion(version) !== null && !atLeast(version, below)))
  );
}

function atLeast(version: string, from: string): boolean {
  const [a, b] = [parseVersion(version), parseVersion(from)];
  if (!a || !b) return false;
  for (const i of [0, 1, 2] as const) if (a[i] !== b[i]) return a[i] > b[i];
  return true;
}
