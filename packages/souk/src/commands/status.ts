import type { Command } from "commander";
import { type Home, readJson, redisPassword, type Secrets, secretsFile } from "../home.ts";
import { redisAnswers } from "../redis.ts";
import { type Run, readRun } from "../run.ts";
import { answers, sidecarReady } from "../sidecar.ts";
import { dim, duration, green, red, table, yellow } from "../terminal.ts";
import { type Context, homeFor } from "./context.ts";

export interface Status {
  /** The runner is there and everything below is ready. */
  ready: boolean;
  state: Run["state"] | "stopped";
  url: string | null;
  /** Seconds since it was started. */
  uptime: number | null;
  processes: ProcessStatus[];
}

export interface ProcessStatus {
  name: string;
  ready: boolean;
  pid: number | null;
  port: number;
  restarts: number;
}

/** Asks every process whether it is ready. */
export async function statusOf(home: Home): Promise<Status> {
  const run = readRun(home);
  if (!run) return { ready: false, state: "stopped", url: null, uptime: null, processes: [] };
  const services = Object.entries(run.services).flatMap(([name, service]) => {
    const tokens = readJson<Secrets>(secretsFile(home, name));
    const header = { "dapr-api-token": tokens?.["app-api-token"] ?? "" };
    const app = answers(`http://127.0.0.1:${service.appPort}/ready`, header);
    const sidecar = sidecarReady(service.daprHttpPort, tokens?.["dapr-api-token"] ?? "");
    return [
      probe(name, app, service.pid, service.appPort, service.restarts),
      probe(`${name}-sidecar`, sidecar, service.sidecarPid, service.daprHttpPort, service.sidecarRestarts),
    ];
  });
  const processes = await Promise.all([
    ...services,
    probe("redis", redisAnswers(run.redis.port, redisPassword(home)), run.redis.pid, run.redis.port, 0),
    probe(
      "sentry",
      answers(`http://127.0.0.1:${run.sentry.healthPort}/healthz`),
      run.sentry.pid,
      run.sentry.port,
      0,
    ),
    ...(run.mail
      ? [
          probe(
            "mail",
            answers(`http://127.0.0.1:${run.mail.port}/health`),
            run.mail.pid,
            run.mail.smtpPort,
            0,
          ),
        ]
      : []),
  ]);
  return {
    ready: run.state === "ready" && processes.every((each) => each.ready),
    state: run.state,
    url: run.url,
    uptime: Math.round((Date.now() - Date.parse(run.startedAt)) / 1000),
    processes,
  };
}

async function probe(
  name: string,
  ready: Promise<boolean>,
  pid: number | null,
  port: number,
  restarts: number,
): Promise<ProcessStatus> {
  return { name, ready: await ready, pid, port, restarts };
}

/** Registers `status`. */
export function statusCommand(program: Command, context: Context): void {
  program
    .command("status")
    .description("show what runs; exit code 1 when something is not ready")
    .option("--json", "for programs")
    .option("--home <folder>", "the shop's folder (default: .souk)")
    .action(async (options: { json?: boolean; home?: string }) => {
      const status = await statusOf(homeFor(context, options.home));
      process.exitCode = status.ready ? 0 : 1;
      process.stdout.write(`${options.json ? JSON.stringify(status, null, 2) : render(status)}\n`);
    });
}

function render(status: Status): string {
  if (status.state === "stopped") return "The shop is not running. Start it with: npm start";
  const rows = status.processes.map((each) => [
    each.name,
    each.ready ? green("ready") : red("not ready"),
    String(each.pid ?? "-"),
    String(each.port),
    each.restarts > 0 ? yellow(String(each.restarts)) : "0",
  ]);
  const state = status.ready ? green("ready") : yellow(status.state === "ready" ? "not ready" : status.state);
  return [
    table([["process", "state", "pid", "port", "restarts"].map(dim), ...rows]),
    "",
    `${status.url} ${state}, for ${duration((status.uptime ?? 0) * 1000)}`,
  ].join("\n");
}
