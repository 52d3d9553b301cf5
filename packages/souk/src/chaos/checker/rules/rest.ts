import type { Facts } from "../facts.ts";
import type { DeadLetter, Violation } from "../types.ts";

/** Events that were given up, and that nobody has replayed or discarded since. */
export function deadLetters({ services, options }: Facts): Violation[] {
  return lettersOf(services)
    .filter((letter) => letter.status === "dead" && !options.explainedDeadLetters?.(letter))
    .map(({ service, id, topic, type, reason }) => ({
      rule: "no-dead-letters",
      detail: `${service} gave up on ${type} ${id} of ${topic}: ${reason || "nobody said why"}`,
    }));
}

export const lettersOf = (services: Facts["services"]): DeadLetter[] =>
  [...services.values()].flatMap(({ service, deadLetters: letters }) =>
    letters.map((letter) => ({ service, ...letter })),
  );

/** What should have been sent or done by now. */
export function leftToDo({ services, at: now, finalWithinMs, options }: Facts): Violation[] {
  const before = now - finalWithinMs;
  const wrong = (detail: string): Violation => ({ rule: "nothing-is-left-to-do", detail });
  return [...services.values()].flatMap(({ service, told, jobs }) => {
    const unsent = told.filter(
      (event) => !event.sent && Math.max(event.at, options.quietSince ?? 0) < before,
    );
    const overdue = jobs.filter(({ at }) => Math.max(at, options.quietSince ?? 0) < before);
    return [
      ...unsent.map(({ type, key }) => wrong(`${service} has not sent ${type} of ${key}`)),
      ...overdue.map(({ kind, key, attempt }) =>
        wrong(`${service} has not done ${kind} of ${key} (tried ${attempt} times)`),
      ),
    ];
  });
}
