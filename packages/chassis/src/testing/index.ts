export { decider, type Specification } from "./decider.ts";
export { type RequestOptions, type TestOptions, type TestService, testService } from "./service.ts";
