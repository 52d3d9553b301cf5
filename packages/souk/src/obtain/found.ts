import { existsSync, realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { isExecutable, onPath } from "./exec.ts";
import { askVersion } from "./programs.ts";
import type { DaprProgram, Environment, Program, Reporter } from "./types.ts";
import { within } from "./versions.ts";

/** The versions of Dapr that the shop is made for; what is obtained new is the one in dapr/runtime/go.mod. */
export const supported = { from: "1.16.0", below: "2.0.0" };
export const supportedText = `>=${supported.from} <${supported.below}`;

/** The first program of that name with a supported version that is on this machine already. */
export async function findProgram(
  name: DaprProgram,
  options: { env: Environment; runtimePath?: string; report: Reporter; signal?: AbortSignal },
): Promise<Program | null> {
  const seen = new Set<string>();
  for (const { path, from } of candidates(name, options)) {
    const real = realpathSync(path);
    if (seen.has(real)) continue;
    seen.add(real);
    const version = await askVersion(name, path, options);
    if (version !== null && within(version, supported.from, supported.below)) {
      return { path, version, origin: "found", from: `${from} (${path})` };
    }
    const what = version === null ? "does not say its version" : `is version ${version}`;
    options.report.step(`${path} (${from}) ${what}; supported is ${supportedText}: passed over`);
  }
  return null;
}

function candidates(
  name: DaprProgram,
  options: { env: Environment; runtimePath?: string; report: Reporter },
): { path: string; from: string }[] {
  const { env, runtimePath } = options;
  const list: { path: string; from: string }[] = [];
  const add = (from: string, paths: string[]) => {
    for (const path of paths) if (isExecutable(path)) list.push({ path, from });
  };
  if (env.DAPR_PATH) {
    const given = resolve(env.DAPR_PATH);
    if (!existsSync(given))
      options.report.step(`DAPR_PATH names ${given}, which does not exist: passed over`);
    else add("DAPR_PATH", statSync(given).isDirectory() ? inside(given, name) : beside(given, name));
  }
  if (runtimePath) add("runtimePath", inside(resolve(runtimePath), name));
  add("PATH", onPath(name, env));
  add("~/.dapr/bin", [join(env.HOME || homedir(), ".dapr", "bin", name)]);
  return list;
}

const inside = (folder: string, name: string) =>
  [folder, join(folder, "bin"), join(folder, ".dapr", "bin")].map((each) => join(each, name));

/** DAPR_PATH may name one program; the others may lie beside it. */
const beside = (file: string, name: string) =>
  basename(file) === name || (name === "daprd" && /daprd/.test(basename(file)))
    ? [file]
    : [join(dirname(file), name)];
