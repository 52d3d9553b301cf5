import { service } from "chassis";
import { jobs, reactions } from "./reactions.ts";
import { routes } from "./routes.ts";
import { store } from "./store.ts";

export default service({ name: "inventory", store, routes, reactions, jobs });
