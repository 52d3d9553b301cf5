/** Reads dapr.yaml, the multi-app file of the Dapr CLI, by the CLI's rules. */
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from "yaml";

/** One service, with every path absolute and `common` merged in. */
export interface App {
  id: string;
  dir: string;
  command: string[];
  /** Folders with components and resiliency policies. */
  resources: string[];
  /** The Dapr configuration file. */
  config: string | null;
  env: Record<string, string>;
  appProtocol: string;
  logLevel: string;
  maxBodySize: string | null;
  readBufferSize: string | null;
  maxConcurrency: number | null;
  runtimePath: string | null;
}

export interface Project {
  /** The folder that dapr.yaml is in. */
  root: string;
  file: string;
  apps: App[];
}

/** Something in dapr.yaml is wrong; the message names the place and what to do. */
export class ProjectError extends Error {
  override name = "ProjectError";
}

type Kind = "string" | "number" | "boolean" | "strings" | "map";

const shared: Record<string, Kind> = {
  configFilePath: "string",
  appProtocol: "string",
  apiListenAddresses: "string",
  enableProfiling: "boolean",
  logLevel: "string",
  appMaxConcurrency: "number",
  placementHostAddress: "string",
  schedulerHostAddress: "string",
  resourcesPath: "string",
  resourcesPaths: "strings",
  appSSL: "boolean",
  maxBodySize: "string",
  readBufferSize: "string",
  enableAppHealthCheck: "boolean",
  appHealthCheckPath: "string",
  appHealthProbeInterval: "number",
  appHealthProbeTimeout: "number",
  appHealthThreshold: "number",
  enableApiLogging: "boolean",
  runtimePath: "string",
  env: "map",
  daprdLogDestination: "string",
  appLogDestination: "string",
};

const own: Record<string, Kind> = {
  ...shared,
  appID: "string",
  appDirPath: "string",
  appChannelAddress: "string",
  appPort: "number",
  daprHTTPPort: "number",
  daprGRPCPort: "number",
  daprInternalGRPCPort: "number",
  profilePort: "number",
  metricsPort: "number",
  unixDomainSocket: "string",
  command: "strings",
  containerImage: "string",
  containerImagePullPolicy: "string",
  createService: "boolean",
};

/** The checkout that `from` lies in: the nearest folder upwards with a dapr.yaml. */
export function findRoot(from: string): string {
  for (let dir = resolve(from); ; dir = dirname(dir)) {
    if (existsSync(join(dir, "dapr.yaml"))) return dir;
    if (dir === dirname(dir)) {
      throw new ProjectError(
        `There is no dapr.yaml in ${resolve(from)} or above it. Run this in the checkout of a shop.`,
      );
    }
  }
}

/** Reads `<root>/dapr.yaml`. Throws ProjectError. */
export function readProject(root: string): Project {
  const file = join(root, "dapr.yaml");
  const counter = new LineCounter();
  const document = parseDocument(readFileSync(file, "utf8"), { lineCounter: counter });
  const fail = (node: Node | null | undefined, problem: string): never => {
    const at = node?.range ? counter.linePos(node.range[0]) : { line: 1, col: 1 };
    throw new ProjectError(`${file}:${at.line}:${at.col}: ${problem}`);
  };

  const [broken] = document.errors;
  if (broken) {
    const { line, col } = counter.linePos(broken.pos[0]);
    throw new ProjectError(
      `${file}:${line}:${col}: ${broken.message.replace(/ at line \d+, column \d+:[\s\S]*$/, "")}.`,
    );
  }
  const top = document.contents;
  if (!isMap(top)) return fail(top, "this must be a map with `version` and `apps`.");
  if (!Number(top.get("version"))) fail(top, "add `version: 1`: the Dapr CLI asks for it.");

  /** The entries of a map, each of the kind it must be. */
  const fields = (map: YAMLMap, kinds: Record<string, Kind>): Fields => {
    const result = new Fields();
    for (const pair of map.items) {
      const key = isScalar(pair.key) ? String(pair.key.value) : "";
      const node = pair.value as Node | null;
      const keyNode = pair.key as Node;
      const kind = kinds[key];
      if (!kind) {
        const near = Object.keys(kinds).find((known) => known.toLowerCase() === key.toLowerCase());
        fail(
          keyNode,
          `\`${key}\` is not known here${near ? `; did you mean \`${near}\`` : ""}. Correct or remove it.`,
        );
      } else if (kind === "strings") {
        if (!isSeq(node) || !node.items.every((item) => isScalar(item) && typeof item.value === "string"))
          fail(node ?? keyNode, `\`${key}\` must be a list of strings.`);
        else
          result.set(
            key,
            node.items.map((item) => String((item as { value: unknown }).value)),
          );
      } else if (kind === "map") {
        const values: Record<string, string> = {};
        if (!isMap(node))
          fail(node ?? keyNode, `\`${key}\` must be a map of strings; write \`{}\` for an empty one.`);
        else
          for (const { key: name, value } of node.items) {
            if (!isScalar(name) || !isScalar(value))
              fail(name as Node, `\`${key}\` must be a map of strings.`);
            else values[String(name.value)] = String(value.value ?? "");
          }
        result.set(key, values);
      } else if (!isScalar(node) || typeof node.value !== kind) {
        fail(node ?? keyNode, `\`${key}\` must be a ${kind}.`);
      } else result.set(key, node.value);
      if (node) result.nodes.set(key, node);
    }
    return result;
  };

  const commonNode = top.get("common", true);
  if (commonNode !== undefined && !isMap(commonNode)) fail(commonNode as Node, "`common` must be a map.");
  const common = isMap(commonNode) ? fields(commonNode, shared) : new Fields();
  const list = top.get("apps", true);
  if (!isSeq(list) || list.items.length === 0)
    return fail((list as Node | undefined) ?? top, "list at least one service under `apps`.");

  /** A path in the file, made absolute; it must exist, as the CLI wants it. */
  const path = (base: string, from: Fields, value: string, key: string): string => {
    const absolute = resolve(base, value);
    if (!existsSync(absolute)) fail(from.nodes.get(key), `\`${key}\`: ${absolute} does not exist.`);
    return absolute;
  };
  const resources = (base: string, from: Fields): string[] => [
    ...from.strings("resourcesPaths").map((each) => path(base, from, each, "resourcesPaths")),
    ...(from.string("resourcesPath")
      ? [path(base, from, from.string("resourcesPath") ?? "", "resourcesPath")]
      : []),
  ];
  const commonResources = resources(root, common);
  const commonConfig = common.string("configFilePath");

  const seen = new Set<string>();
  const apps = list.items.map((item): App => {
    if (!isMap(item)) return fail(item as Node, "each of `apps` must be a map.");
    const app = fields(item, own);
    const dirPath = app.string("appDirPath");
    if (!dirPath) return fail(item, "this service has no `appDirPath`.");
    const dir = path(root, app, dirPath, "appDirPath");
    const id = app.string("appID") ?? basename(dir);
    if (seen.has(id))
      fail(app.nodes.get("appID") ?? item, `two services are called ${id}; appID must be unique.`);
    seen.add(id);
    // The CLI would stop here without a word: it writes the common variables into a map that is not there.
    if (common.has("env") && !app.has("env"))
      fail(
        item,
        `${id} needs an \`env\` (write \`env: {}\`), because \`common\` has one: the Dapr CLI fails without.`,
      );
    const command = app.strings("command");
    if (command.length === 0) fail(item, `${id} has no \`command\`.`);
    const configPath = app.string("configFilePath");
    const either = new Either(app, common);
    if (either.boolean("enableAppHealthCheck"))
      fail(
        item,
        `${id} has \`enableAppHealthCheck\`, with which daprd loses what it was just delivering: leave it out (docs/decisions/0025).`,
      );
    return {
      id,
      dir,
      command,
      resources:
        app.has("resourcesPaths") || app.has("resourcesPath") ? resources(dir, app) : commonResources,
      config: configPath
        ? path(dir, app, configPath, "configFilePath")
        : commonConfig
          ? path(root, common, commonConfig, "configFilePath")
          : null,
      env: { ...common.map("env"), ...app.map("env") },
      appProtocol: either.string("appProtocol") ?? "http",
      logLevel: either.string("logLevel") ?? "info",
      maxBodySize: either.string("maxBodySize"),
      readBufferSize: either.string("readBufferSize"),
      maxConcurrency: either.number("appMaxConcurrency"),
      runtimePath: app.string("runtimePath")
        ? resolve(dir, app.string("runtimePath") ?? "")
        : common.string("runtimePath")
          ? resolve(root, common.string("runtimePath") ?? "")
          : null,
    };
  });
  return { root, file, apps };
}

/** Checked entries of a map, and where each stands. */
class Fields {
  readonly nodes = new Map<string, Node>();
  readonly #values = new Map<string, unknown>();

  set(key: string, value: unknown): void {
    this.#values.set(key, value);
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  string(key: string): string | null {
    const value = this.#values.get(key);
    return typeof value === "string" && value !== "" ? value : null;
  }

  number(key: string): number | null {
    const value = this.#values.get(key);
    return typeof value === "number" && value !== 0 ? value : null;
  }

  boolean(key: string): boolean {
    return this.#values.get(key) === true;
  }

  strings(key: string): string[] {
    return (this.#values.get(key) as string[] | undefined) ?? [];
  }

  map(key: string): Record<string, string> {
    return (this.#values.get(key) as Record<string, string> | undefined) ?? {};
  }
}

/** What an app says, or else what is common: an empty value counts as unsaid, as in the CLI. */
class Either {
  constructor(
    readonly app: Fields,
    readonly common: Fields,
  ) {}

  string(key: string): string | null {
    return this.app.string(key) ?? this.common.string(key);
  }

  number(key: string): number | null {
    return this.app.number(key) ?? this.common.number(key);
  }

  boolean(key: string): boolean {
    return this.app.boolean(key) || this.common.boolean(key);
  }
}
