import { readFileSync } from "node:fs";
import { chmod, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Cache } from "./cache.ts";
import { download, fetchText, type Patience, sha256 } from "./download.ts";
import { PassedOver } from "./passed-over.ts";
import { extractFile } from "./tar.ts";
import { ChecksumMismatch, type DaprProgram, type Environment, type Reporter } from "./types.ts";

const OFFICIAL = "https://github.com/dapr/dapr/releases/download";

export interface ReleaseOptions {
  cache: Cache;
  /** An empty folder for what is unpacked. */
  work: string;
  /** Where the checksums that were seen are remembered. */
  lockFile: string;
  patience: Patience;
  env: Environment;
  report: Reporter;
  signal?: AbortSignal;
}

/** The name in a release for this system, e.g. "linux_amd64". Throws PassedOver when releases have none. */
export function releaseTarget(platform: string = process.platform, arch: string = process.arch): string {
  const os = { linux: "linux", darwin: "darwin" }[platform];
  const cpu = { x64: "amd64", arm64: "arm64", arm: "arm" }[arch];
  if (!os || !cpu) throw new PassedOver(`there is none that we can use for ${platform} on ${arch}`);
  return `${os}_${cpu}`;
}

/**
 * Downloads one program of an official release and checks it: against the SHA-256 beside it and, if this version
 * was seen before, against the one seen then. Returns where it was unpacked to.
 */
export async function fromRelease(
  name: DaprProgram,
  version: string,
  options: ReleaseOptions,
): Promise<string> {
  const { report, cache, lockFile } = options;
  const asset = `${name}_${releaseTarget()}.tar.gz`;
  const base = (options.env.SOUK_DAPR_RELEASES || OFFICIAL).replace(/\/+$/, "");
  const url = `${base}/v${version}/${asset}`;
  report.step(`${name} ${version}: looking at the release at ${new URL(url).host}`);

  const published = await publishedChecksum(url, options);
  const remembered = readLock(lockFile)[version]?.[asset];
  if (remembered && remembered !== published) {
    throw new ChecksumMismatch(
      `${url}.sha256 says ${published}, but for ${asset} of ${version} we have seen ${remembered} before ` +
        `(${lockFile}). A release does not change: somebody replaced it, there or on the way. Nothing of it was used. ` +
        `If you know why and trust it, remove that line from the file; or set DAPR_PATH to a runtime of your own.`,
    );
  }

  const part = await cache.partFile(`${published.slice(0, 16)}-${asset}`);
  report.step(`${name} ${version}: downloading ${url}`);
  await download(url, part, options);
  let actual = await sha256(part);
  if (actual !== published) {
    // Perhaps what was kept of an earlier attempt does not fit: once more, from the start.
    await rm(part, { force: true });
    report.step(`${name} ${version}: the checksum is wrong; downloading it once more from the start`);
    await download(url, part, options);
    actual = await sha256(part);
  }
  if (actual !== published) {
    await rm(part, { force: true });
    throw new ChecksumMismatch(
      `${url} has the SHA-256 ${actual}, but ${published} is published beside it. It was thrown away. ` +
        `Try again later or from another network; or set DAPR_PATH to a runtime of your own.`,
    );
  }
  if (!remembered) await remember(lockFile, version, asset, published, report);

  const folder = options.work;
  const unfinished = join(folder, `${name}.unpacking`);
  if (!(await extractFile(part, name, unfinished))) throw new PassedOver(`${asset} holds no ${name}`);
  await chmod(unfinished, 0o755);
  await rename(unfinished, join(folder, name));
  await rm(part, { force: true });
  report.step(`${name} ${version}: downloaded, SHA-256 ${published.slice(0, 12)}… as published`);
  return join(folder, name);
}

async function publishedChecksum(url: string, options: ReleaseOptions): Promise<string> {
  const text = await fetchText(`${url}.sha256`, options);
  if (text === null) throw new PassedOver(`there is no ${url}.sha256`);
  const sum = /^\s*([0-9a-f]{64})(?![0-9a-f])/i.exec(text)?.[1]?.toLowerCase();
  if (!sum) throw new PassedOver(`${url}.sha256 holds no SHA-256`);
  return sum;
}

type Lock = Record<string, Record<string, string>>;

function readLock(file: string): Lock {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Lock;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw new Error(`${file} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}

async function remember(file: string, version: string, asset: string, sum: string, report: Reporter) {
  const lock = readLock(file);
  const sorted = Object.entries({ ...lock[version], [asset]: sum }).sort(([a], [b]) => (a < b ? -1 : 1));
  const text = `${JSON.stringify({ ...lock, [version]: Object.fromEntries(sorted) }, null, 2)}\n`;
  const unfinished = `${file}.${process.pid}`;
  try {
    await writeFile(unfinished, text);
    await rename(unfinished, file);
  } catch (error) {
    report.step(
      `${file} cannot be written (${error instanceof Error ? error.message : error}): not remembered`,
    );
  }
}
