/** Components of an OpenAPI document: kind, then name. */
export type Components = Record<string, Record<string, unknown>>;

/** A part of a document with the components that it refers to. */
export interface Part {
  paths: Record<string, unknown>;
  components: Components;
}

/**
 * Puts the components of several documents together. What has the same name and says the same is kept once; where a
 * name means two things, the later one gets its document's name in front.
 */
export class SharedComponents {
  readonly all: Components = {};
  /** What each name stands for, written out, to be compared. */
  readonly #meaning = new Map<string, string>();

  /** Takes in a document's components. @returns its paths, with references to the names that they have now */
  add(name: string, { paths, components }: Part): Record<string, unknown> {
    const renamed = new Map<string, string>();
    const taken: [kind: string, name: string, value: unknown][] = [];
    for (const [kind, named] of Object.entries(components)) {
      if (kind === "securitySchemes") continue;
      for (const [own, value] of Object.entries(named)) {
        const meaning = JSON.stringify(written(value, components));
        const given = this.#free(kind, own, meaning) ? own : capital(name) + own;
        if (given !== own) renamed.set(`#/components/${kind}/${own}`, `#/components/${kind}/${given}`);
        this.#meaning.set(`${kind}/${given}`, meaning);
        taken.push([kind, given, value]);
      }
    }
    for (const [kind, given, value] of taken)
      this.all[kind] = { ...this.all[kind], [given]: pointed(value, renamed) };
    return pointed(paths, renamed) as Record<string, unknown>;
  }

  #free(kind: string, name: string, meaning: string): boolean {
    const before = this.#meaning.get(`${kind}/${name}`);
    return before === undefined || before === meaning;
  }
}

/** A value with what it refers to in its place; our schemas do not contain themselves. */
export function written(value: unknown, components: Components): unknown {
  return mapped(value, (reference) => {
    const [, , kind = "", name = ""] = reference.split("/");
    return written(components[kind]?.[name], components);
  });
}

const pointed = (value: unknown, renamed: ReadonlyMap<string, string>): unknown =>
  mapped(value, (reference) => ({ $ref: renamed.get(reference) ?? reference }));

function mapped(value: unknown, refer: (reference: string) => unknown): unknown {
  if (Array.isArray(value)) return value.map((one) => mapped(one, refer));
  if (typeof value !== "object" || value === null) return value;
  if ("$ref" in value && typeof value.$ref === "string") return refer(value.$ref);
  return Object.fromEntries(
    // What an example holds is its own business.
    Object.entries(value).map(([key, one]) => [key, key === "example" ? one : mapped(one, refer)]),
  );
}

const capital = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);

/** The components that the paths refer to, and those that these refer to. */
export function used(paths: unknown, components: Components): Components {
  const kept: Components = {};
  const look = (value: unknown): unknown =>
    mapped(value, (reference) => {
      const [, , kind = "", name = ""] = reference.split("/");
      if (kept[kind]?.[name] === undefined) {
        const component = components[kind]?.[name];
        kept[kind] = { ...kept[kind], [name]: component };
        look(component);
      }
      return undefined;
    });
  look(paths);
  return kept;
}
