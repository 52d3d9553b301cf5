import fc from "fast-check";
import { hostileText, junk, strangeKeys } from "./values.ts";

/** One thing that is done to a JSON value; `at` picks the place among all there are. */
export type Mutation = { at: number } & (
  | { do: "remove" }
  | { do: "replace"; by: unknown }
  | { do: "nudge"; by: number }
  | { do: "lengthen"; to: number }
  | { do: "repeat"; times: number }
  | { do: "rename" | "add"; name: string; value: unknown }
);

const at = fc.nat(500);

/** A change that makes a valid value nearly valid. */
export const nearly: fc.Arbitrary<Mutation> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("remove" as const), at }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("replace" as const), at, by: junk }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("nudge" as const), at, by: fc.constantFrom(-1, 1, 0.5) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("lengthen" as const),
      at,
      to: fc.constantFrom(0, 1, 33, 64, 65, 100, 101, 200, 201, 254, 255, 256, 501, 5_001),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("repeat" as const),
      at,
      times: fc.constantFrom(2, 21, 1_000, 1_001),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom("rename" as const, "add" as const),
      at,
      name: fc.oneof(fc.constantFrom(...strangeKeys), fc.string({ maxLength: 5 })),
      value: junk,
    }),
  },
);

/** A change that puts hostile text in the place of text. */
export const attack: fc.Arbitrary<Mutation> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("replace" as const), at, by: hostileText }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom("rename" as const, "add" as const),
      at,
      name: fc.oneof(fc.constantFrom(...strangeKeys), hostileText),
      value: fc.oneof(junk, fc.constant({ isAdmin: true, polluted: true })),
    }),
  },
);

type Path = (string | number)[];

/** The value after a mutation; the one before stays as it is. */
export function mutate(value: unknown, mutation: Mutation): unknown {
  const all = [...places(value, [])];
  const fitting = all.filter(({ holds }) => suits(mutation, holds));
  const { path } = (fitting.length > 0 ? fitting : all)[
    mutation.at % Math.max(1, fitting.length || all.length)
  ] ?? { path: [] };
  return changed(value, path, mutation);
}

function* places(value: unknown, path: Path): Generator<{ path: Path; holds: unknown }> {
  yield { path, holds: value };
  if (typeof value !== "object" || value === null || path.length > 6) return;
  for (const [key, inner] of Object.entries(value).slice(0, 30)) {
    yield* places(inner, [...path, Array.isArray(value) ? Number(key) : key]);
  }
}

function suits(mutation: Mutation, holds: unknown): boolean {
  switch (mutation.do) {
    case "nudge":
      return typeof holds === "number";
    case "lengthen":
      return typeof holds === "string";
    case "repeat":
      return Array.isArray(holds) && holds.length > 0;
    case "rename":
    case "add":
      return typeof holds === "object" && holds !== null && !Array.isArray(holds);
    default:
      return true;
  }
}

const gone = Symbol("gone");

function changed(value: unknown, [key, ...rest]: Path, mutation: Mutation): unknown {
  if (key === undefined) {
    const done = apply(value, mutation);
    return done === gone ? null : done;
  }
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => (index === key ? kept(item, rest, mutation) : [item]));
  }
  // Own keys only, and `__proto__` as one of them.
  const entries = Object.entries(value as object).flatMap(([name, item]) =>
    name === key ? kept(item, rest, mutation).map((now) => [name, now] as const) : [[name, item] as const],
  );
  return Object.fromEntries(entries);
}

function kept(item: unknown, rest: Path, mutation: Mutation): unknown[] {
  const now = rest.length === 0 ? apply(item, mutation) : changed(item, rest, mutation);
  return now === gone ? [] : [now];
}

function apply(value: unknown, mutation: Mutation): unknown {
  switch (mutation.do) {
    case "remove":
      return gone;
    case "replace":
      return mutation.by;
    case "nudge":
      return typeof value === "number" ? value + mutation.by : value;
    case "lengthen":
      return typeof value === "string" ? (value || "x").repeat(mutation.to).slice(0, mutation.to) : value;
    case "repeat":
      return Array.isArray(value)
        ? Array.from({ length: mutation.times }, (_, index) => value[index % value.length])
        : value;
    case "rename":
    case "add": {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
      const entries = Object.entries(value);
      return Object.fromEntries([
        ...(mutation.do === "rename" ? entries.slice(1) : entries),
        [mutation.name, mutation.value],
      ]);
    }
    default:
      return mutation satisfies never;
  }
}
