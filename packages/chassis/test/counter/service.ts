import * as v from "valibot";
import { open } from "../../src/access.ts";
import { body } from "../../src/body.ts";
import { idempotent } from "../../src/idempotency.ts";
import { Problem } from "../../src/problem.ts";
import { type Received, react } from "../../src/reactions.ts";
import { router, service } from "../../src/service.ts";
import { transact } from "../../src/transact.ts";
import { Asked, type Store, store } from "./store.ts";

const Said = v.object({ text: v.optional(v.string(), "by http"), from: v.optional(v.string(), "") });

/** The smallest service there can be: it counts what comes in, and says so. What is `broken` it cannot take. */
export const counter = (broken: Set<string> = new Set()) =>
  service<Store>({
    name: "counter",
    store,
    routes: router<Store>()
      .post(
        "/heard",
        open("a test"),
        body(Said),
        idempotent({ guest: (c) => c.req.header("visitor") ?? "" }),
        (c) =>
          transact(c, async () => {
            const { text } = c.req.valid("json");
            if (broken.has(text)) throw new Problem(422, { code: "broken", detail: "not today" });
            const id = c.var.kit.id();
            return { change: c.var.kit.store.heard(id, text), status: 201, body: { id } };
          }),
      )
      .post("/named/:name", open("a test"), idempotent(), (c) =>
        transact(c, async () => {
          const { store } = c.var.kit;
          const name = c.req.param("name");
          if (await store.has(name)) throw new Problem(409, { code: "taken", detail: "it is there already" });
          return { change: store.heard(name, name), status: 201, body: { id: name } };
        }),
      )
      .post("/whispered", open("a test"), idempotent(), (c) =>
        transact(c, async () => {
          const id = c.var.kit.id();
          return { change: c.var.kit.store.heard(id, "a whisper"), status: 201, body: { id } };
        }),
      ),
    reactions: [
      react(Asked, ({ text }, got: Received<Store>) => {
        if (broken.has(text)) throw new Error("not today");
        return got.store.heard(got.id(), text);
      }),
    ],
  });
