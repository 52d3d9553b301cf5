import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./exec.ts";
import type { DaprProgram, Environment } from "./types.ts";

interface HowToAsk {
  args(scratch: string): string[];
  version: RegExp;
}

/** A control plane program has no --version; it names it in its first line, and is ended there. */
const firstLine = (args: HowToAsk["args"]): HowToAsk => ({ args, version: /-- version (\S+) --/ });

/**
 * The programs of the runtime. One more is: its name in DaprProgram, how to ask for its version here, and its
 * folder with a main.go in dapr/runtime.
 */
const programs: Record<DaprProgram, HowToAsk> = {
  daprd: { args: () => ["--version"], version: /^(\S+)$/ },
  sentry: firstLine((scratch) => [
    ...["--issuer-credentials", scratch, "--listen-address", "127.0.0.1", "--port", "0"],
    ...["--healthz-listen-address", "127.0.0.1", "--healthz-port", "0", "--enable-metrics=false"],
  ]),
};

export const programNames = Object.keys(programs) as DaprProgram[];

/** What a program says its version is, e.g. "1.18.2" or "edge"; null when it says none or does not run here. */
export async function askVersion(
  name: DaprProgram,
  path: string,
  options: { env: Environment; signal?: AbortSignal },
): Promise<string | null> {
  const { args, version } = programs[name];
  const scratch = await mkdtemp(join(tmpdir(), "souk-ask-"));
  let found: string | null = null;
  try {
    await run(path, args(scratch), {
      ...options,
      cwd: scratch,
      timeoutMs: 10_000,
      onLine(line) {
        found ??= version.exec(line.trim())?.[1] ?? null;
        return found === null ? undefined : "enough";
      },
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return found;
}
