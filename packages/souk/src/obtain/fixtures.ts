/** What the tests of this folder share: fake programs, a file server with faults, and a folder of their own. */
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { releaseTarget } from "./release.ts";
import type { Environment, Reporter } from "./types.ts";

export interface Sandbox {
  root: string;
  /** No program is on PATH but what a test puts into `bin`; home and cache are empty folders. */
  env: Record<string, string>;
  bin: string;
  /** A stand-in for dapr/runtime. */
  source: string;
  steps: string[];
  report: Reporter;
}

const sandboxes: string[] = [];
/** For afterAll of every file that makes some. */
export function removeSandboxes(): void {
  for (const root of sandboxes.splice(0)) rmSync(root, { recursive: true, force: true });
}

export function sandbox(version = "1.18.2"): Sandbox {
  const root = mkdtempSync(join(tmpdir(), "souk-obtain-"));
  sandboxes.push(root);
  const [bin, home, source] = ["bin", "home", "source"].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ];
  for (const folder of [bin, home, source]) mkdirSync(folder);
  writeFileSync(
    join(source, "go.mod"),
    `module x\n\ngo 1.26.5\n\nrequire github.com/dapr/dapr v${version}\n`,
  );
  const steps: string[] = [];
  const report = { step: (text: string) => void steps.push(text), progress() {} };
  const env = {
    PATH: bin,
    HOME: home,
    SOUK_CACHE: join(root, "cache"),
    SOUK_DAPR_RELEASES: "http://127.0.0.1:1/nobody-is-here",
  };
  return { root, env, bin, source, steps, report };
}

export function script(path: string, body: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** What a program of the runtime does when asked for its version; Sentry goes on running, as the real one does. */
const answers: Record<string, (version: string) => string> = {
  daprd: (version) => `echo ${version}`,
  sentry: (version) =>
    `echo 'level=info msg="Starting Dapr Sentry certificate authority -- version ${version} -- commit "'\nexec /bin/sleep 60`,
};

export const fakeProgram = (folder: string, name: string, version: string): string =>
  script(join(folder, name), (answers[name] as (version: string) => string)(version));

/** A .tar.gz as a release has it. `padding` random bytes make it big enough to be cut off. */
export function archiveOf(name: string, version: string, padding = 0): Buffer {
  const file = (path: string, content: Buffer) => {
    const header = Buffer.alloc(512);
    header.write(path, 0);
    header.write("0000755\0", 100);
    header.write(`${content.length.toString(8).padStart(11, "0")}\0`, 124);
    header.write("0", 156);
    return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
  };
  const body = `#!/bin/sh\n${(answers[name] as (version: string) => string)(version)}\n`;
  const noise = Buffer.from(Array.from({ length: padding }, (_, i) => (i * 7919 + ((i * i) >> 7)) & 255));
  const files = [file("LICENSE", noise), file(`./${name}`, Buffer.from(body)), Buffer.alloc(1024)];
  return gzipSync(Buffer.concat(files), { level: 0 });
}

export const sha256Of = (content: Buffer): string => createHash("sha256").update(content).digest("hex");

export interface Releases {
  url: string;
  /** Every request as "GET <file name> <range or nothing>". */
  requests: string[];
  /** By file name, e.g. daprd_linux_amd64.tar.gz and the same with .sha256. */
  files: Map<string, Buffer>;
  /** Called for every request. cut: end the connection after so many bytes; hold: stand still in the middle until then. */
  fault: (name: string) => { cut?: number; hold?: Promise<void> } | undefined;
  stop(): void;
}

/** A server with the releases of a version, good until a test makes it otherwise. Bytes are served with ranges. */
export function releases(version = "1.18.2", padding = 0): Releases {
  const files = new Map<string, Buffer>();
  for (const name of Object.keys(answers)) {
    const archive = archiveOf(name, version, padding);
    const asset = `${name}_${releaseTarget()}.tar.gz`;
    files.set(asset, archive);
    files.set(`${asset}.sha256`, Buffer.from(`${sha256Of(archive)}  release/${asset}\n`));
  }
  const server = Bun.listen<{ text: string }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { text: "" };
      },
      async data(socket, bytes) {
        socket.data.text += bytes.toString("latin1");
        if (!socket.data.text.includes("\r\n\r\n")) return;
        const [, path = ""] = socket.data.text.split(" ");
        const range = /^range: bytes=(\d+)-/im.exec(socket.data.text)?.[1];
        const name = path.split("/").at(-1) ?? "";
        socket.data.text = "";
        self.requests.push(`GET ${name}${range ? ` from ${range}` : ""}`);
        const found = path.startsWith(`/v${version}/`) ? files.get(name) : undefined;
        const fault = self.fault(name);
        if (!found)
          return void socket.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        const from = Number(range ?? 0);
        const rest = found.subarray(from);
        const status = range
          ? `206 Partial Content\r\ncontent-range: bytes ${from}-${found.length - 1}/${found.length}`
          : "200 OK";
        socket.write(`HTTP/1.1 ${status}\r\ncontent-length: ${rest.length}\r\nconnection: close\r\n\r\n`);
        const part = fault?.cut === undefined ? rest : rest.subarray(0, fault.cut);
        if (fault?.hold) {
          const first = fault.cut ?? 1024;
          socket.write(part.subarray(0, first));
          await fault.hold;
          socket.end(part.subarray(first));
        } else socket.end(part);
      },
    },
  });
  const self: Releases = {
    url: `http://127.0.0.1:${server.port}`,
    requests: [],
    files,
    fault: () => undefined,
    stop: () => server.stop(true),
  };
  return self;
}

/** Runs obtain-once.ts in a process of its own. */
export function otherProcess(what: "dapr" | "lock", env: Environment, ...args: string[]) {
  return Bun.spawn([process.execPath, join(import.meta.dir, "fixture-process.ts"), what, ...args], {
    env: { ...env },
    stdout: "pipe",
    stderr: "inherit",
  });
}

/** Resolves when the text has come on the stream; what came until then. */
export async function untilSaid(stream: ReadableStream<Uint8Array>, text: string): Promise<string> {
  const decoder = new TextDecoder();
  let said = "";
  const reader = stream.getReader();
  while (!said.includes(text)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`it ended without saying "${text}": ${said}`);
    said += decoder.decode(value, { stream: true });
  }
  reader.releaseLock();
  return said;
}
