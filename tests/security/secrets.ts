import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { lintSource } from "@secretlint/core";
import { creator } from "@secretlint/secretlint-rule-preset-recommend";

/** Something in a file that looks like a secret. */
export interface Finding {
  file: string;
  line: number;
  /** What it looks like; never the secret itself. */
  kind: string;
}

const preset = "@secretlint/secretlint-rule-preset-recommend";

/** Looks for keys, tokens and passwords in one text, by the rules of secretlint. */
export async function findSecrets(file: string, content: string): Promise<Finding[]> {
  const { messages } = await lintSource({
    source: { filePath: file, content, ext: extname(file), contentType: "text" },
    options: { config: { rules: [{ id: preset, rule: creator }] } },
  });
  return messages.map(({ loc, ruleId }) => ({ file, line: loc.start.line, kind: ruleId }));
}

/**
 * Looks through every file that git tracks in a checkout.
 * @returns what was found, and how many files were read
 * @throws {Error} where there is no git, or the folder is no repository
 */
export async function scan(root: string): Promise<{ findings: Finding[]; files: number }> {
  const { status, stdout, stderr } = spawnSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(`git does not list the files of ${root}: ${stderr ?? "it is not there"}`);
  const files = stdout.split("\0").filter(Boolean);
  const findings: Finding[] = [];
  for (const file of files) {
    const content = readFileSync(join(root, file));
    // What has a zero byte is no text.
    if (!content.includes(0)) findings.push(...(await findSecrets(file, content.toString("utf8"))));
  }
  return { findings, files: files.length };
}
