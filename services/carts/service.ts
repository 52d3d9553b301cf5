import { service } from "chassis";
import { reactions } from "./reactions.ts";
import { routes } from "./routes.ts";
import { store } from "./store.ts";

export default service({
  name: "carts",
  store,
  routes,
  reactions,
  statuses: {
    "unknown-product": 422,
    "mixed-currencies": 422,
    "cart-full": 422,
    "total-too-large": 422,
    "empty-cart": 422,
  },
});
