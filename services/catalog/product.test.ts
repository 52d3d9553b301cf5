import { describe, expect, test } from "bun:test";
import type { Rejection } from "chassis";
import { decider } from "chassis/testing";
import fc from "fast-check";
import {
  create,
  type Entry,
  evolve,
  type Product,
  type ProductEvent,
  put,
  remove,
  replace,
} from "./product.ts";

const holder: Product = {
  sku: "85123A",
  name: "White hanging heart T-light holder",
  description: "Holds one tea light.",
  category: "Candles",
  price: { amount: 255, currency: "GBP" },
  kind: "physical",
  images: ["https://images.example/1.jpg"],
};
const dearer: Product = { ...holder, price: { amount: 295, currency: "GBP" } };

const created: ProductEvent = { type: "created", product: holder };
const deleted: ProductEvent = { type: "deleted" };

type Command =
  | { type: "create" | "replace"; product: Product }
  | { type: "put"; product: Product; onHand?: number }
  | { type: "remove" };

function decide(entry: Entry | undefined, command: Command): ProductEvent[] | Rejection {
  switch (command.type) {
    case "create":
      return create(entry, command.product);
    case "replace":
      return replace(entry, command.product);
    case "put":
      return put(entry, command.product, command.onHand);
    case "remove":
      return remove(entry, holder.sku);
    default:
      return command satisfies never;
  }
}

const given = decider<Entry, ProductEvent, Command>(evolve, decide);

describe("creating", () => {
  test("lists a product", () => {
    given().when({ type: "create", product: holder }).then(created);
  });
  test("a deleted one lists it again", () => {
    given(created, deleted).when({ type: "create", product: holder }).then(created);
  });
  test("is refused when the SKU is taken", () => {
    given(created).when({ type: "create", product: dearer }).thenRejected("sku-taken");
  });
});

describe("replacing", () => {
  test("updates the product", () => {
    given(created).when({ type: "replace", product: dearer }).then({ type: "updated", product: dearer });
  });
  test.each<Partial<Product>>([
    { name: "Other" },
    { description: undefined },
    { category: "Lights" },
    { price: { amount: 255, currency: "EUR" } },
    { kind: "service" },
    { images: [] },
    { images: ["https://images.example/2.jpg"] },
  ])("sees the difference of %j", (over) => {
    const product = { ...holder, ...over };
    given(created).when({ type: "replace", product }).then({ type: "updated", product });
  });
  test("with the same changes nothing", () => {
    given(created)
      .when({ type: "replace", product: structuredClone(holder) })
      .thenNothingHappened();
  });
  test("is refused when it is not there, or no longer", () => {
    given().when({ type: "replace", product: holder }).thenRejected("not-found");
    given(created, deleted).when({ type: "replace", product: holder }).thenRejected("not-found");
  });
});

describe("removing", () => {
  test("takes it off the catalog", () => {
    given(created).when({ type: "remove" }).then(deleted);
  });
  test("is refused when it is not there, or no longer", () => {
    given().when({ type: "remove" }).thenRejected("not-found");
    given(created, deleted).when({ type: "remove" }).thenRejected("not-found");
  });
});

describe("a line of an import", () => {
  test("creates what is not there, or no longer", () => {
    given().when({ type: "put", product: holder }).then(created);
    given(created, deleted).when({ type: "put", product: holder }).then(created);
  });
  test("updates what differs", () => {
    given(created).when({ type: "put", product: dearer }).then({ type: "updated", product: dearer });
  });
  test("leaves what is the same", () => {
    given(created)
      .when({ type: "put", product: { ...holder } })
      .thenNothingHappened();
  });
  test("says what is in stock each time, after the product", () => {
    const stocked: ProductEvent = { type: "stocked", onHand: 7 };
    given().when({ type: "put", product: holder, onHand: 7 }).then(created, stocked);
    given(created, stocked).when({ type: "put", product: holder, onHand: 7 }).then(stocked);
    given(created).when({ type: "put", product: holder, onHand: 0 }).then({ type: "stocked", onHand: 0 });
  });
});

test("whatever is asked in whatever order, the version only grows, by one for each change, over deletions too", () => {
  const product = fc.record({
    sku: fc.constant(holder.sku),
    name: fc.constantFrom("A", "B"),
    price: fc.constantFrom(holder.price, dearer.price),
    kind: fc.constantFrom("physical" as const, "service" as const),
    images: fc.constantFrom([], holder.images),
    weight: fc.constantFrom(undefined, 0, 120),
    taxClass: fc.constantFrom(undefined, "reduced"),
  });
  const command: fc.Arbitrary<Command> = fc.oneof(
    fc.record({ type: fc.constantFrom("create" as const, "replace" as const), product }),
    fc.record({
      type: fc.constant("put" as const),
      product,
      onHand: fc.option(fc.nat(), { nil: undefined }),
    }),
    fc.record({ type: fc.constant("remove" as const) }),
  );
  fc.assert(
    fc.property(fc.array(command), (commands) => {
      let entry: Entry | undefined;
      for (const asked of commands) {
        const decided = decide(entry, asked);
        if (!Array.isArray(decided)) continue;
        const before = entry?.version ?? 0;
        entry = decided.reduce<Entry | undefined>(evolve, entry);
        expect(entry?.version ?? 0).toBe(before + decided.filter(({ type }) => type !== "stocked").length);
        if (asked.type === "remove") expect(entry?.status).toBe("deleted");
        else expect(entry).toMatchObject({ status: "listed", product: asked.product });
      }
    }),
  );
});
