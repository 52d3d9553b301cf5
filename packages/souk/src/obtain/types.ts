/** Where an obtained program came from, in the order in which the ways are tried. */
export type Origin = "found" | "cache" | "release" | "build" | "docker" | "apt";

/** Told about every step while something is obtained. Nothing here prints by itself. */
export interface Reporter {
  /** A line for a person: what is being done now, or why a way was passed over. */
  step(text: string): void;
  /** How far the step named last has come. `total` is 0 when it is not known. */
  progress(done: number, total: number, unit: "bytes" | "modules" | "packages"): void;
}

export const silent: Reporter = { step() {}, progress() {} };

export type Environment = Readonly<Record<string, string | undefined>>;

/** What both obtainers take. Everything has a default but the reporter. */
export interface ObtainOptions {
  report: Reporter;
  /** Aborting it stops downloads and builds, kills what was started and throws the signal's reason. */
  signal?: AbortSignal;
  /** Default: `process.env`. */
  env?: Environment;
}

/** Nothing could be obtained. The message lists the ways to get it and why each did not serve. */
export class CannotObtain extends Error {
  override name = "CannotObtain";
}

/** What was downloaded is not what was seen before, or not what its publisher says it is. It was not kept. */
export class ChecksumMismatch extends Error {
  override name = "ChecksumMismatch";
}

/** The programs of the Dapr runtime that can be obtained. */
export type DaprProgram = "daprd" | "sentry";

/** One obtained program. */
export interface Program {
  /** Absolute path of the executable. */
  path: string;
  /** e.g. "1.18.2", without a v. */
  version: string;
  origin: Origin;
  /** For a person: "PATH (/usr/bin/daprd)", "the cache", "the official release". */
  from: string;
}

/** The version and origin are daprd's (or of the first program that was asked for). */
export type Dapr<P extends DaprProgram = DaprProgram> = Record<P, string> & {
  version: string;
  origin: Origin;
  programs: Record<P, Program>;
};

export interface ObtainDaprOptions<P extends DaprProgram = DaprProgram> extends ObtainOptions {
  /** Default: daprd and sentry. */
  need?: readonly P[];
  /** `runtimePath` of dapr.yaml: looked at after DAPR_PATH and before PATH. */
  runtimePath?: string;
  /** The Go module of the runtime. Default: `dapr/runtime` of this checkout. */
  source?: string;
}

export interface RedisLaunch {
  port: number;
  /** Where it keeps its data; must exist. Absolute. */
  dir: string;
  /** A redis.conf (password, durability…); port, bind and dir are set besides it and win. Absolute. */
  configFile?: string;
}

/** How to start a Redis with the given port and folder. It runs in the foreground and ends on SIGTERM. */
export interface RedisCommand {
  command: string[];
  /** Variables to set besides the usual ones. */
  env: Record<string, string>;
  /**
   * Run this, if there, before a start and after a stop by force: it removes what a killed start left behind
   * (a container goes on when its client is killed). Succeeds also when there is nothing.
   */
  clear?: string[];
}

export interface Redis {
  /** e.g. "7.0.15"; of a container: its image. */
  version: string;
  origin: Origin;
  from: string;
  /** "redis" or "valkey". */
  kind: "redis" | "valkey";
  launch(options: RedisLaunch): RedisCommand;
}
