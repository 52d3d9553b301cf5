import type { InferInput, InferOutput, StandardSchemaV1 } from "./schema.ts";

/** A CloudEvent 1.0 in its JSON form. Extensions stand beside the attributes, as the specification says. */
export interface CloudEvent<T = unknown> {
  specversion: "1.0";
  /** Together with `source` the identity of the event: the same at every delivery. */
  id: string;
  /** Who published it: the app id. */
  source: string;
  type: string;
  /** What it is about: the id of the aggregate. */
  subject?: string;
  /** RFC 3339. */
  time: string;
  datacontenttype?: string;
  data: T;
  /** W3C Trace Context of the request that caused it. */
  traceparent?: string;
  tracestate?: string;
  [extension: string]: unknown;
}

/** What may be said of an event besides its data. Anything else becomes an extension of the CloudEvent. */
export interface EventOptions {
  /** The id of the aggregate. */
  subject?: string;
  /** Default: a random UUID. */
  id?: string;
  /** Default: the app id of the sidecar that publishes it. */
  source?: string;
  /** RFC 3339. Default: now. */
  time?: string;
  traceparent?: string;
  tracestate?: string;
  [extension: string]: unknown;
}

/** An event that is ready to be published or committed. `source` may still be missing: the publisher's app id. */
export interface NewEvent<T = unknown> {
  specversion: "1.0";
  id: string;
  source?: string;
  type: string;
  topic: string;
  subject?: string;
  time: string;
  datacontenttype: string;
  data: T;
  traceparent?: string;
  tracestate?: string;
  [extension: string]: unknown;
}

/** A type of event: declared by those who publish it, and by those who read it with only the fields they read. */
export interface EventType<T, Input = T> {
  readonly topic: string;
  readonly type: string;
  readonly schema: StandardSchemaV1<unknown, T>;
  /** An event of this type. The data is not validated here: the types do it, and the reader's schema. */
  of(data: Input, options?: EventOptions): NewEvent<Input>;
}

/**
 * Declares a type of event.
 *
 * @param topic the topic it is published to
 * @param type the CloudEvents `type`, such as `order.placed`
 * @param schema any Standard Schema (Valibot, Zod, ArkType…) of its data
 * @example
 * const OrderPlaced = event("orders", "order.placed", v.object({ orderId: v.string() }));
 */
export function event<S extends StandardSchemaV1>(
  topic: string,
  type: string,
  schema: S,
): EventType<InferOutput<S>, InferInput<S>> {
  return {
    topic,
    type,
    schema,
    of: (data, options) => ({
      ...options,
      specversion: "1.0",
      id: options?.id ?? crypto.randomUUID(),
      type,
      time: options?.time ?? new Date().toISOString(),
      datacontenttype: "application/json",
      topic,
      data,
    }),
  };
}
