import { bugs } from "./bugs.ts";
import { checks } from "./checks.ts";

declare const self: Worker;

/** Seeds to look at, and the name of a bug to plant. */
export interface Job {
  check: keyof typeof checks;
  seeds: number[];
  bug?: string;
}

export interface Found {
  seed: number;
  violations: string[];
}

self.onmessage = async ({ data: { check, seeds, bug } }: MessageEvent<Job>) => {
  const planted = bugs.find(({ name }) => name === bug);
  for (const seed of seeds) {
    const violations = await checks[check](seed, planted);
    postMessage({ seed, violations } satisfies Found);
  }
  postMessage(undefined);
};
