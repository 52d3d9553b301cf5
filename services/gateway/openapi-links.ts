import type { Operation } from "./openapi-merge.ts";

type Paths = Record<string, Record<string, Operation>>;

/** Where a parameter's value comes from, as the contract of a service says it. */
interface From {
  /** `POST /api/orders`. */
  operation: string;
  at?: string;
  header?: string;
}

/**
 * Turns what parameters say about where their values come from into links of the operations that give them (OpenAPI
 * 3.1, section 4.8.20), so that a client, and a test, can go from one to the next.
 */
export function linked(paths: Paths): Paths {
  const made = structuredClone(paths);
  for (const methods of Object.values(made))
    for (const operation of Object.values(methods))
      for (const parameter of operation.parameters ?? []) {
        const from = parameter["x-from"] as From | undefined;
        if (from === undefined) continue;
        delete parameter["x-from"];
        link(made, from, operation.operationId, String(parameter.name));
      }
  return made;
}

function link(paths: Paths, { operation, at, header }: From, to: string, parameter: string): void {
  const [method = "", path = ""] = operation.split(" ");
  const source = paths[path]?.[method.toLowerCase()];
  const success = Object.entries(source?.responses ?? {}).find(([status]) => status.startsWith("2"))?.[1];
  // A service that is not here has nothing to give.
  if (success === undefined) return;
  const links = (success.links ?? {}) as Record<string, { operationId: string; parameters: object }>;
  const value = header === undefined ? `$response.body#${at ?? ""}` : `$response.header.${header}`;
  success.links = {
    ...links,
    [to]: { operationId: to, parameters: { ...links[to]?.parameters, [parameter]: value } },
  };
}
