export type { Lost, Retries } from "./broker.ts";
export type { TestClock } from "./clock.ts";
export { conformance, type Runner, type World } from "./conformance.ts";
export {
  type Api,
  type App,
  type BindingRequest,
  type Calls,
  type Denial,
  type FakeOptions,
  type FakeSidecar,
  type FaultOptions,
  fakeSidecar,
} from "./fake.ts";
