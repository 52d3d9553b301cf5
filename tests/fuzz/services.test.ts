import { expect, test } from "bun:test";
import { serviceNames } from "./contract.ts";
import { fuzzService, told } from "./run.ts";

// The short form of `npm run fuzz`: cases that are the same each time, and cases that are not.

const random = Math.floor(Math.random() * 2 ** 31);

test.each(
  serviceNames.flatMap((service) => [
    [service, 1],
    [service, random],
  ]) as [string, number][],
)(
  "%s keeps its word whatever comes (seed %i)",
  async (service, seed) => {
    const failures = await fuzzService(service, { cases: 300, seed });
    expect(failures.map((failure) => told(failure, `--service ${service}`)).join("\n")).toBe("");
  },
  60_000,
);
