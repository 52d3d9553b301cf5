import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeSandboxes, type Sandbox, sandbox, script } from "./fixtures.ts";
import { durableRedis, obtainRedis } from "./redis.ts";
import { parseDependencies, readDistribution } from "./redis-apt.ts";

afterAll(removeSandboxes);

let box: Sandbox;
beforeEach(() => {
  box = sandbox();
});
const alpine = { id: "alpine", version: "3", like: [] };
const debian = { id: "debian", version: "12", like: [] };
const obtain = (distribution = alpine) => obtainRedis({ ...box, distribution });
const server = (folder: string, name: string, version: string) =>
  script(
    join(folder, name),
    `echo "${name === "valkey-server" ? "Valkey" : "Redis"} server v=${version} sha=00000000:0"`,
  );

describe("a server that is here", () => {
  test("REDIS_SERVER comes before PATH, Redis before Valkey", async () => {
    const given = server(join(box.root, "given"), "redis-server", "7.2.1");
    const redis = server(box.bin, "redis-server", "7.0.15");
    const valkey = server(box.bin, "valkey-server", "8.1.0");
    expect(await obtain()).toMatchObject({ version: "7.0.15", origin: "found", from: `PATH (${redis})` });
    box.env.REDIS_SERVER = given;
    expect(await obtain()).toMatchObject({
      version: "7.2.1",
      from: `REDIS_SERVER (${given})`,
      kind: "redis",
    });
    box.env.REDIS_SERVER = "valkey-server";
    expect(await obtain()).toMatchObject({
      version: "8.1.0",
      from: `REDIS_SERVER (${valkey})`,
      kind: "valkey",
    });
  });

  test("is started on loopback, with the port and the folder asked for", async () => {
    const path = server(box.bin, "redis-server", "6.2.0");
    const { launch } = await obtain();
    expect(launch({ port: 7001, dir: "/data/x", configFile: "/data/redis.conf" })).toEqual({
      command: [
        path,
        "/data/redis.conf",
        "--port",
        "7001",
        "--bind",
        "127.0.0.1",
        "--dir",
        "/data/x",
        "--daemonize",
        "no",
      ],
      env: {},
    });
  });

  test("is passed over when it is too old, or no program, and that is said", async () => {
    const old = server(box.bin, "redis-server", "6.0.16");
    server(box.bin, "valkey-server", "8.0.0");
    box.env.REDIS_SERVER = "/nowhere/redis-server";
    expect((await obtain()).kind).toBe("valkey");
    expect(box.steps.slice(0, 2)).toEqual([
      "REDIS_SERVER names /nowhere/redis-server, which is no program: passed over",
      `${old} (PATH) is version 6.0.16; 6.2.0 or newer is needed: passed over`,
    ]);
  });
});

describe("Docker", () => {
  const docker = (body: string) => script(join(box.bin, "docker"), `echo "$@" >> ${box.root}/asked\n${body}`);
  const asked = () => readFileSync(join(box.root, "asked"), "utf8");

  test("when it answers, runs a container on loopback that can be cleared away", async () => {
    const path = docker('case "$1" in info) echo 27.0.1 ;; image) exit 1 ;; esac');
    const redis = await obtain();
    expect(redis).toMatchObject({ origin: "docker", kind: "valkey", from: "a container of Docker 27.0.1" });
    expect(asked()).toContain("pull valkey/valkey:8-alpine");
    const { command, clear } = redis.launch({ port: 7001, dir: "/data/x", configFile: "/c/redis.conf" });
    const line = command.join(" ");
    const name = /--name (\S+)/.exec(line)?.[1];
    expect(line).toStartWith(`${path} run --rm --init --name ${name} --publish 127.0.0.1:7001:7001`);
    expect(line).toContain("--mount type=bind,src=/data/x,dst=/data ");
    expect(line).toContain("--mount type=bind,src=/c/redis.conf,dst=/souk/redis.conf,readonly");
    expect(line).toEndWith("redis /souk/redis.conf --port 7001 --bind 0.0.0.0 --dir /data --daemonize no");
    expect(clear).toEqual([path, "rm", "--force", name as string]);
    const other = redis.launch({ port: 7001, dir: "/data/y" });
    expect(other.clear).not.toEqual(clear);
  });

  test("the image is pulled once", async () => {
    docker('case "$1" in info) echo 27.0.1 ;; esac');
    await obtain();
    expect(asked()).not.toContain("pull");
  });

  test("is passed over when it does not answer, or cannot pull", async () => {
    docker('echo "Cannot connect to the Docker daemon." >&2; exit 1');
    await expect(obtain()).rejects.toThrow("Docker: Cannot connect to the Docker daemon.");
    docker('case "$1" in info) echo 27 ;; *) echo "no route to host" >&2; exit 1 ;; esac');
    await expect(obtain()).rejects.toThrow("cannot be pulled: no route to host");
  });
});

describe("Debian's packages", () => {
  /** An archive of packages as programs: `apt-get download` makes x.deb, dpkg-deb -x unpacks what `contents` says. */
  function archive({ known = true, download = true } = {}) {
    const state = join(box.root, "fresh");
    const contents = join(box.root, "contents");
    mkdirSync(join(contents, "redis-tools/usr/bin"), { recursive: true });
    server(join(contents, "redis-tools/usr/bin"), "redis-check-rdb", "7.0.15");
    mkdirSync(join(contents, "redis-server/usr/bin"), { recursive: true });
    symlinkSync("redis-check-rdb", join(contents, "redis-server/usr/bin/redis-server"));
    mkdirSync(join(contents, "liblzf1/usr/lib/triplet"), { recursive: true });
    writeFileSync(join(contents, "liblzf1/usr/lib/triplet/liblzf.so.1"), "elf");
    mkdirSync(join(contents, "libdeep2/lib/triplet"), { recursive: true });
    writeFileSync(join(contents, "libdeep2/lib/triplet/libdeep.so.2"), "elf");
    const args = 'while [ "$1" = -o ]; do shift 2; done';
    script(
      join(box.bin, "apt-get"),
      `echo "$@" >> ${box.root}/asked; ${args}
case "$1" in
update) : > ${state} ;;
download) shift; [ ${download} = true ] || [ -e ${state} ] || { echo "E: 404  Not Found" >&2; exit 100; }
  for each in "$@"; do : > "$each.deb"; done ;;
esac`,
    );
    script(
      join(box.bin, "apt-cache"),
      `${args}
case "$*" in
policy*) { [ ${known} = true ] || [ -e ${state} ]; } && echo "a: Candidate: 7 b: Candidate: 7" ;;
*redis-server*) printf 'redis-server\\n  Depends: redis-tools\\nredis-tools\\n  Depends: libc6\\n |Depends: adduser\\n  Depends: other\\n  Depends: liblzf1\\n' ;;
*) printf 'liblzf1\\n  Depends: libc6\\n  Depends: libdeep2\\n' ;;
esac`,
    );
    script(join(box.bin, "dpkg"), 'printf "libc6:amd64\\tinstall\\nadduser\\t\\tinstall\\n"');
    script(join(box.bin, "dpkg-deb"), `name=\${2##*/}; /bin/cp -a ${contents}/\${name%.deb}/. "$3"/`);
    // As the loader: it wants liblzf, and liblzf wants libdeep.
    script(
      join(box.bin, "ldd"),
      `has() { case ":$LD_LIBRARY_PATH:" in *"$1:"*) true ;; *) false ;; esac; }
has usr/lib/triplet || { echo "	liblzf.so.1 => not found"; exit 0; }
has root/lib/triplet || echo "	libdeep.so.2 => not found"`,
    );
  }
  const asked = () => readFileSync(join(box.root, "asked"), "utf8");

  test("are unpacked with the libraries that are lacking, level by level, and kept", async () => {
    archive();
    const redis = await obtain(debian);
    const folder = join(box.env.SOUK_CACHE as string, `redis-apt-debian12-${process.arch}`);
    expect(redis).toMatchObject({ version: "7.0.15", origin: "apt" });
    const { command, env } = redis.launch({ port: 1, dir: "/d" });
    expect(command[0]).toBe(join(folder, "usr/bin/redis-server"));
    expect(env).toEqual({ LD_LIBRARY_PATH: `${folder}/lib/triplet:${folder}/usr/lib/triplet` });
    expect(asked().match(/download .*/g)).toEqual([
      "download redis-server redis-tools",
      "download liblzf1",
      "download libdeep2",
    ]);
    const before = asked();
    expect(await obtain(debian)).toMatchObject({ origin: "cache", version: "7.0.15" });
    expect(asked()).toBe(before);
  });

  test.each([{ known: false }, { download: false }])("fetch lists of their own when %p", async (state) => {
    archive(state);
    expect((await obtain(debian)).origin).toBe("apt");
    expect(asked()).toContain("Dir::State::Lists=");
  });

  test("are no way elsewhere, and the message lists the ways", async () => {
    archive();
    await expect(obtain(alpine)).rejects.toThrow("apt-get: this is not Debian or Ubuntu (alpine)");
    await expect(obtain(alpine)).rejects.toThrow(
      "REDIS_SERVER=<the path of a redis-server or valkey-server>",
    );
  });

  test("apt-cache's dependencies: alternatives, providers, virtual packages", () => {
    const text = ` |Depends: a
  Depends: b
  Depends: lsb-base
    sysvinit-utils
  PreDepends: <virtual>
    one
    two
  Depends: c:amd64
  Breaks: redis
`;
    expect(parseDependencies(`x\n${text}`)).toEqual([
      ["a", "b"],
      ["lsb-base", "sysvinit-utils"],
      ["one", "two"],
      ["c"],
    ]);
  });

  test("which Linux it is", () => {
    const file = join(box.root, "os-release");
    writeFileSync(file, 'PRETTY_NAME="x"\nID=linuxmint\nVERSION_ID="22"\nID_LIKE="ubuntu debian"\n');
    expect(readDistribution(file)).toEqual({ id: "linuxmint", version: "22", like: ["ubuntu", "debian"] });
    expect(readDistribution(join(box.root, "none")).id).toBe(process.platform);
  });
});

test("the log is synced at every command", () => {
  expect(durableRedis("s3cret").split("\n")).toContain("appendfsync always");
});
