/** Why an order cannot be paid as it asks to be, and the place in its body. */
export interface Unpayable {
  code: string;
  pointer: string;
  detail: string;
}

interface Settings {
  /** The methods that are switched on, comma between: `test` where nothing is said, in production none. */
  PAYMENT_METHODS?: string;
  NODE_ENV?: string;
}

/**
 * The payment methods that this shop takes.
 * @param off those that are switched off right now
 */
export function taken({ PAYMENT_METHODS, NODE_ENV }: Settings, off: string[] = []): string[] {
  const all = PAYMENT_METHODS ?? (NODE_ENV === "production" ? "" : "test");
  return all
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "" && !off.includes(name));
}

/** What keeps an order from being paid like this; undefined when nothing does. */
export function unpayable(
  { method, token }: { method: string; token: string },
  methods: string[],
): Unpayable | undefined {
  // First of all, so that it goes no further whatever else is wrong.
  if (holdsCardNumber(token)) {
    const detail = "card numbers are not taken: send the token that the payment provider's own form gives";
    return { code: "card-number-refused", pointer: "/payment/token", detail };
  }
  if (methods.includes(method)) return undefined;
  const detail = `this shop takes: ${methods.join(", ") || "nothing yet"}`;
  return { code: "payment-method-unavailable", pointer: "/payment/method", detail };
}

/** Whether there are 13 to 19 digits in a text, perhaps in groups, that add up like a card number (ISO/IEC 7812-1). */
export function holdsCardNumber(text: string): boolean {
  const runs = text.normalize("NFKC").match(/(?<!\d)\d(?:[ .\-_/]?\d){12,18}(?!\d)/g) ?? [];
  return runs.some((run) => addsUp(run.replace(/\D/g, "")));
}

function addsUp(digits: string): boolean {
  const sum = [...digits].reverse().reduce((total, digit, place) => {
    const value = Number(digit) * (place % 2 === 1 ? 2 : 1);
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return sum % 10 === 0;
}
