import { describe, expect, test } from "bun:test";
import { holdsCardNumber, taken, unpayable } from "./payment-methods.ts";

describe("a card number", () => {
  // Numbers that the card schemes publish for tests.
  test.each([
    "4242424242424242",
    "4242 4242 4242 4242",
    "4242-4242-4242-4242",
    "5555555555554444",
    "378282246310005",
    "6011111111111117",
    "4222222222222",
    "6304000000000000000",
    "number=4000.0566.5566.5556;exp=12/30",
    "４２４２４２４２４２４２４２４２",
  ])("is seen in %s", (text) => {
    expect(holdsCardNumber(text)).toBe(true);
    const refused = unpayable({ method: "test", token: text }, ["test"]);
    expect(refused).toMatchObject({ code: "card-number-refused", pointer: "/payment/token" });
    // What was sent is not sent back.
    expect(JSON.stringify(refused)).not.toContain(text);
  });

  test.each([
    "tok_ok",
    "pm_card_visa",
    "pm_1N3T8pLkdIwHu7ixRzqRVuOB",
    "ctoken_1NnQUf2eZvKYlo2CIObdtbnb",
    "4242424242424241",
    "424242424242",
    "42424242424242424242",
    "",
  ])("is none in %s", (text) => {
    expect(holdsCardNumber(text)).toBe(false);
  });

  test("is refused whatever the method", () => {
    expect(unpayable({ method: "stripe", token: "4242424242424242" }, [])?.code).toBe("card-number-refused");
  });
});

describe("a method", () => {
  test.each([
    [{}, ["test"]],
    [{ NODE_ENV: "production" }, []],
    [{ PAYMENT_METHODS: "" }, []],
    [{ PAYMENT_METHODS: "stripe" }, ["stripe"]],
    [{ PAYMENT_METHODS: " test , stripe," }, ["test", "stripe"]],
  ])("%j switches on %j", (settings, methods) => {
    expect(taken(settings)).toEqual(methods);
  });

  test("that is not switched on is refused, with those that are", () => {
    expect(unpayable({ method: "test", token: "tok_ok" }, ["test"])).toBeUndefined();
    expect(unpayable({ method: "stripe", token: "pm_1" }, ["test"])).toEqual({
      code: "payment-method-unavailable",
      pointer: "/payment/method",
      detail: "this shop takes: test",
    });
    expect(unpayable({ method: "test", token: "tok_ok" }, [])?.detail).toBe("this shop takes: nothing yet");
  });
});
