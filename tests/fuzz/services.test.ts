import { expect, test } from "bun:test";
import { serviceNames } from "./contract.ts";
import { fuzzService, told } from "./run.ts";

// The short form of `npm run fuzz`, which looks elsewhere each time; these cases are the same each time.

test.each(
  serviceNames.flatMap((service) => [
    [service, 1],
    [service, 2],
  ]) as [string, number][],
)(
  "%s keeps its word whatever comes (seed %i)",
  async (service, seed) => {
    const failures = await fuzzService(service, { cases: 300, seed });
    expect(failures.map((failure) => told(failure, `--service ${service}`)).join("\n")).toBe("");
  },
  60_000,
);
