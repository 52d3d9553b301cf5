import { join } from "node:path";
import type { Home } from "../../packages/souk/src/home.ts";

const cli = join(import.meta.dir, "../../packages/souk/src/cli.ts");

/** What a command said. */
export interface Said {
  code: number;
  out: string;
  err: string;
}

/** Runs `npx souk` for the shop in a folder. */
export const soukOf =
  (home: Pick<Home, "dir">) =>
  async (...args: string[]): Promise<Said> => {
    const child = Bun.spawn([process.execPath, cli, ...args], {
      env: { ...process.env, SOUK_HOME: home.dir, NO_COLOR: "1" },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, err, code] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { code, out, err };
  };
