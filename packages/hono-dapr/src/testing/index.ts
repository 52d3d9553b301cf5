export type { BindingRequest, Bindings } from "./bindings-api.ts";
export type { Lost, Retries } from "./broker.ts";
export type { TestClock } from "./clock.ts";
export { conformance, type Runner, type World } from "./conformance.ts";
export { type App, type FakeOptions, type FakeSidecar, fakeSidecar } from "./fake.ts";
export { publishedIn } from "./pubsub-api.ts";
export type { Api, Calls, Denial, FaultOptions } from "./rules.ts";
