import { Hono } from "hono";
import { problem } from "./answers.ts";

export interface BindingRequest {
  operation: string;
  data?: unknown;
  metadata?: Record<string, string>;
}

/** Output bindings. What is thrown comes out as the component's error. */
export type Bindings = Record<string, (request: BindingRequest) => unknown>;

export function bindingsApi(bindings: Bindings): Hono {
  const api = new Hono();

  api.on(["POST", "PUT"], "/v1.0/bindings/:name", async (c) => {
    const name = c.req.param("name");
    const binding = bindings[name];
    const failed = `error invoking output binding ${name}: `;
    if (!binding)
      return problem(500, "ERR_INVOKE_OUTPUT_BINDING", `${failed}couldn't find output binding ${name}`);
    try {
      const answer = await binding(await c.req.json<BindingRequest>());
      return answer === undefined ? c.body(null, 204) : c.json(answer as object);
    } catch (error) {
      return problem(
        500,
        "ERR_INVOKE_OUTPUT_BINDING",
        failed + (error instanceof Error ? error.message : error),
      );
    }
  });

  return api;
}
