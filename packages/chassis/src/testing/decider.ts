import { expect } from "bun:test";
import type { Rejection } from "../problem.ts";

/** A decider under test: what has happened, what is asked, what must follow. */
export interface Specification<E, C> {
  when(command: C): {
    then(...events: E[]): void;
    thenNothingHappened(): void;
    thenRejected(code: string): void;
  };
}

/**
 * Given events, when a command, then events (or a rejection): the shape of every domain test.
 * @example
 * const given = decider(evolve, decide);
 * given(placed).when({ type: "cancel", at }).then({ type: "cancelled", at });
 */
export function decider<S, E, C>(
  evolve: (state: S | undefined, event: E) => S,
  decide: (state: S | undefined, command: C) => E[] | Rejection,
): (...events: E[]) => Specification<E, C> {
  return (...events) => {
    const state = events.reduce<S | undefined>(evolve, undefined);
    return {
      when(command) {
        const decided = decide(state, command);
        return {
          then: (...expected) => expect(decided).toEqual(expected),
          thenNothingHappened: () => expect(decided).toEqual([]),
          thenRejected: (code) => expect(decided).toMatchObject({ rejected: code }),
        };
      },
    };
  };
}
