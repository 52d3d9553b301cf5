export { type Binding, type BindingAnswer, onBinding } from "./bindings.ts";
export type { CallOptions, Fetch } from "./client.ts";
export type { Configuration, ConfigurationItem, ConfigurationItems } from "./configuration.ts";
export { type DaprOptions, dapr, type Sidecar, type SidecarMetadata } from "./dapr.ts";
export {
  DaprError,
  EtagMismatch,
  EventDropped,
  InvalidState,
  InvocationAborted,
  InvocationTimeout,
  PublishFailed,
  SidecarUnreachable,
} from "./errors.ts";
export { type CloudEvent, type EventOptions, type EventType, event, type NewEvent } from "./event.ts";
export {
  type Callback,
  type DeadLetter,
  type Dropped,
  drop,
  type EventHandler,
  isDropped,
  on,
  onAny,
  onDeadLetter,
  type Received,
  type Subscription,
  type SubscriptionOptions,
} from "./handlers.ts";
export type { ReadyOptions } from "./health.ts";
export type { InvokeFetch, InvokeInit } from "./invoke.ts";
export { type JobOptions, type Jobs, onJob } from "./jobs.ts";
export type { PublishableEvent, Published, Publisher, PublishOptions } from "./publish.ts";
export type { InferInput, InferOutput, SchemaIssue, StandardSchemaV1 } from "./schema.ts";
export type { Secrets } from "./secrets.ts";
export type { SetOptions, State, StateOptions, Stored, Update, UpdateOptions } from "./state.ts";
export type { Failure, SubscriptionsOptions } from "./subscriptions.ts";
export { appToken } from "./token.ts";
export { childTraceparent, newTraceparent, parseTraceparent, type Traceparent } from "./traceparent.ts";
