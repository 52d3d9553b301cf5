/** An OpenAPI document, as far as this needs to know it. */
export interface Document {
  paths?: Record<string, unknown>;
  components?: Record<string, Record<string, unknown>>;
}

/** What may be named, by kind (`schemas`, `responses`, `parameters`) and then by name. */
export type Named = Record<string, Record<string, unknown>>;

/**
 * Writes what stands in many places once: whatever is just like a named component becomes a reference to it.
 * Components that nothing refers to are left out.
 */
export function sharing<D extends Document>(document: D, named: Named): D {
  const places = new Map<string, string>();
  for (const [kind, components] of Object.entries(named))
    for (const [name, value] of Object.entries(components)) {
      const text = canonical(value);
      // Of two names for the same the first is kept.
      if (!places.has(text)) places.set(text, `#/components/${kind}/${name}`);
    }

  const used = new Set<string>();
  const refer = (value: unknown, itself?: string): unknown => {
    if (Array.isArray(value)) return value.map((one) => refer(one));
    if (typeof value !== "object" || value === null) return value;
    const place = places.get(canonical(value));
    if (place !== undefined && place !== itself) {
      used.add(place);
      return { $ref: place };
    }
    return Object.fromEntries(
      // Examples are values, not schemas: one may look like another's.
      Object.entries(value).map(([key, one]) => [key, key === "example" ? one : refer(one)]),
    );
  };

  const paths = refer(document.paths ?? {}) as Record<string, unknown>;
  const components: Record<string, Record<string, unknown>> = {};
  // What is used may use others: a set that grows while it is gone through.
  for (const place of used) {
    const [, , kind = "", name = ""] = place.split("/");
    components[kind] = { ...components[kind], [name]: refer(named[kind]?.[name], place) };
  }
  for (const kind of Object.keys(components)) components[kind] = sorted(components[kind] ?? {});
  return { ...document, paths, components: { ...sorted(components), ...document.components } };
}

const sorted = <T>(object: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));

/** The same text for the same value, whatever the order of its members. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "";
  const members = Object.entries(value)
    .filter(([, one]) => one !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, one]) => `${JSON.stringify(key)}:${canonical(one)}`);
  return `{${members.join()}}`;
}
