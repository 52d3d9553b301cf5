import { createHash } from "node:crypto";
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

/** Chance that can be had again. */
export interface Random {
  /** From 0 (included) to 1 (excluded). */
  share(): number;
  /** A whole number, both ends included. */
  int(from: number, to: number): number;
  /** Yes with this probability. */
  chance(probability: number): boolean;
  /** One of them, each as likely as its weight says. */
  pick<T extends string>(weights: Partial<Record<T, number>>): T;
  one<T>(of: readonly T[]): T;
}

/** The same numbers for the same seed and the same `part`, whatever other parts have used. */
export function random(seed: string, part: string): Random {
  const digest = createHash("sha256").update(`${seed}\n${part}`).digest();
  const generator = xoroshiro128plus(digest.readInt32BE());
  const share = () => uniformFloat64(generator);
  const int = (from: number, to: number) => uniformInt(generator, from, to);
  return {
    share,
    int,
    chance: (probability) => share() < probability,
    pick<T extends string>(weights: Partial<Record<T, number>>) {
      const entries = Object.entries(weights) as [T, number][];
      let left = share() * entries.reduce((sum, [, weight]) => sum + weight, 0);
      const hit = entries.find(([, weight]) => {
        left -= weight;
        return left < 0;
      });
      const [name] = hit ?? entries[0] ?? [];
      if (name === undefined) throw new Error("nothing to pick from");
      return name;
    },
    one<T>(of: readonly T[]) {
      if (of.length === 0) throw new Error("nothing to pick from");
      return of[int(0, of.length - 1)] as T;
    },
  };
}

/** A seed nobody has given: short enough to be typed again. */
export function newSeed(): string {
  return Math.floor(Math.random() * 2 ** 32).toString(36);
}
