import { createHash } from "node:crypto";
import { onPath, run } from "./exec.ts";
import { PassedOver } from "./passed-over.ts";
import type { Environment, Redis, RedisLaunch, Reporter } from "./types.ts";

const IMAGE = "valkey/valkey:8-alpine";

/** A Redis in a container, when Docker answers. Its image (SOUK_REDIS_IMAGE) is fetched now, not at the start. */
export async function redisByDocker(context: {
  env: Environment;
  report: Reporter;
  signal?: AbortSignal;
}): Promise<Redis> {
  const { env, report, signal } = context;
  const docker = onPath("docker", env)[0];
  if (!docker) throw new PassedOver("there is no docker on PATH");
  const info = await run(docker, ["info", "--format", "{{.ServerVersion}}"], {
    env,
    signal,
    timeoutMs: 4_000,
  });
  if (info.code !== 0) {
    throw new PassedOver(
      info.timedOut ? "it does not answer within 4 s" : lastLine(info.stderr || info.stdout),
    );
  }
  const image = env.SOUK_REDIS_IMAGE || IMAGE;
  const there = await run(docker, ["image", "inspect", image], { env, signal, timeoutMs: 10_000 });
  if (there.code !== 0) {
    report.step(`Docker ${info.stdout.trim()} answers; pulling ${image}`);
    const pulled = await run(docker, ["pull", image], { env, signal, timeoutMs: 300_000 });
    if (pulled.code !== 0) {
      throw new PassedOver(
        `${image} cannot be pulled: ${pulled.timedOut ? "5 min passed" : lastLine(pulled.stderr)}`,
      );
    }
  }
  return {
    kind: /valkey/.test(image) ? "valkey" : "redis",
    version: image,
    origin: "docker",
    from: `a container of Docker ${info.stdout.trim()}`,
    launch: (options) => containerCommand(docker, image, options),
  };
}

/** The port is published on loopback only; the files in `dir` belong to the caller; one name for each folder. */
function containerCommand(docker: string, image: string, { port, dir, configFile }: RedisLaunch) {
  const name = `souk-redis-${createHash("sha256").update(dir).digest("hex").slice(0, 12)}`;
  const user =
    process.getuid?.() === undefined ? [] : ["--user", `${process.getuid()}:${process.getgid?.()}`];
  const mounts = [`type=bind,src=${dir},dst=/data`];
  if (configFile) mounts.push(`type=bind,src=${configFile},dst=/souk/redis.conf,readonly`);
  // Whichever of the two the image brings.
  const start = 'exec "$(command -v valkey-server || command -v redis-server)" "$@"';
  return {
    command: [
      ...[docker, "run", "--rm", "--init", "--name", name, "--publish", `127.0.0.1:${port}:${port}`],
      ...user,
      ...mounts.flatMap((mount) => ["--mount", mount]),
      ...["--entrypoint", "sh", image, "-c", start, "redis"],
      ...(configFile ? ["/souk/redis.conf"] : []),
      // Inside, all addresses: Docker hands connections in from another one. Outside only loopback is published.
      ...["--port", String(port), "--bind", "0.0.0.0", "--dir", "/data", "--daemonize", "no"],
      ...(configFile ? [] : ["--protected-mode", "no"]),
    ],
    env: {},
    clear: [docker, "rm", "--force", name],
  };
}

const lastLine = (text: string) => text.trim().split("\n").at(-1) ?? "";
