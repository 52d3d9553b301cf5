/** How the mail catcher is started, and whether a shop needs one. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Project } from "../project.ts";

/** Whether any service sends mails through its sidecar. */
export function sendsMail({ apps }: Project): boolean {
  const folders = new Set(apps.flatMap(({ resources }) => resources));
  return [...folders].some((folder) =>
    readdirSync(folder)
      .filter((name) => /\.ya?ml$/.test(name))
      .some((name) => /^\s*type:\s*bindings\.smtp\s*$/m.test(readFileSync(join(folder, name), "utf8"))),
  );
}

/** The command line of the catcher. */
export const catcherCommand = (): string[] => [
  process.execPath,
  fileURLToPath(new URL("catcher.ts", import.meta.url)),
];

/** Its variables. Both ports are on loopback. */
export const catcherEnvironment = (
  folder: string,
  smtpPort: number,
  port: number,
): Record<string, string> => ({
  MAIL_FOLDER: folder,
  MAIL_SMTP_PORT: String(smtpPort),
  MAIL_PORT: String(port),
});

/** Where a sidecar finds the mail server. */
export const mailServer = (port: number): Record<string, string> => ({
  SOUK_SMTP_HOST: "127.0.0.1",
  SOUK_SMTP_PORT: String(port),
});
