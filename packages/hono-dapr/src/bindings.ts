import { type CallOptions, type Client, call, post } from "./client.ts";
import type { Callback } from "./handlers.ts";

/** What an output binding answered. */
export interface BindingAnswer {
  /** JSON as a value, anything else as text, nothing as `undefined`. */
  data: unknown;
  /** What the component says about it, such as the status of an HTTP call. */
  metadata: Record<string, string>;
}

/** An output binding: something outside that the sidecar can do, such as sending an e-mail. */
export interface Binding {
  /** Throws `DaprError` with the component's reason when it fails. */
  invoke(
    operation: string,
    data?: unknown,
    metadata?: Record<string, string>,
    options?: CallOptions,
  ): Promise<BindingAnswer>;
}

const METADATA = "metadata.";

export function outputBinding(client: Client, name: string): Binding {
  return {
    async invoke(operation, data, metadata, options) {
      const path = `/v1.0/bindings/${encodeURIComponent(name)}`;
      const response = await call(
        client,
        `The binding ${name}`,
        path,
        post({ operation, data, metadata }, options),
      );
      const text = await response.text();
      const answered = [...response.headers].filter(([header]) => header.startsWith(METADATA));
      return {
        data: asJson(text),
        metadata: Object.fromEntries(
          answered.map(([header, value]) => [header.slice(METADATA.length), value]),
        ),
      };
    },
  };
}

/**
 * Binds a handler to an input binding: something outside that happened, such as a time that was reached. A handler
 * that throws is answered 500, so that components that can will deliver it again.
 *
 * @param handler is given the data, and what the component says about it (daprd sends that as headers)
 * @param options `route`: the component's metadata `route`, where it has one
 * @example
 * sidecar.subscriptions([onBinding("every-minute", async () => sweep())]);
 */
export function onBinding(
  name: string,
  handler: (data: unknown, metadata: Headers) => unknown,
  { route = `/${name}` }: { route?: string } = {},
): Callback {
  return { path: route, handle: async (body, headers) => handler(asJson(body), headers) };
}

/** JSON as a value, anything else as it is, nothing as `undefined`. */
export function asJson(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // Bindings may carry text of any kind.
    return text;
  }
}
