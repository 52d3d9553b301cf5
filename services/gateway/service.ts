import { router, service } from "chassis";
import {
  bodyLimits,
  checks,
  edge,
  edgeMiddleware,
  type Memory,
  measures,
  memory,
  ownCredentials,
} from "./edge.ts";
import { flags } from "./flags.ts";
import { reactions } from "./reactions.ts";

export default service<Memory>({
  name: "gateway",
  memory,
  // Nobody calls the gateway through its sidecar; what it offers is its public face.
  routes: router<Memory>(),
  edge,
  edgeMiddleware,
  reactions,
  checks,
  flags,
  measures,
  bodyLimits,
  ownCredentials,
});
