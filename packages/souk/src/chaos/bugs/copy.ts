/** A throw-away copy of a checkout, in which a service's code can be changed without touching the real one. */
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join, relative, sep } from "node:path";

/** One change of a source file; `find` must be there exactly once. */
export interface Edit {
  /** Below the checkout. */
  file: string;
  find: string;
  replace: string;
}

/** What a shop is made of; the command line that starts it stays the real one. */
const parts = ["services", "packages", "components", "dapr", "dapr.yaml"];
const leftOut = new Set(["node_modules", "test", "tests", "examples", "runtime", "souk"]);

/**
 * Copies the sources of the checkout `root` to `to`, and links the installed modules there: those of the workspace
 * lead to the copy, all others to where they are.
 */
export function copyCheckout(root: string, to: string): void {
  for (const part of parts)
    cpSync(join(root, part), join(to, part), {
      recursive: true,
      filter: (from) => !leftOut.has(basename(from)) && !from.endsWith(".test.ts"),
    });
  link(join(root, "node_modules"), join(to, "node_modules"), realpathSync(root), to);
}

function link(from: string, to: string, root: string, copy: string): void {
  mkdirSync(to);
  for (const name of readdirSync(from)) {
    if (name.startsWith(".")) continue;
    const path = join(from, name);
    const inWorkspace = lstatSync(path).isSymbolicLink() ? relative(root, realpathSync(path)) : "..";
    if (!inWorkspace.startsWith("..")) {
      const target = join(copy, ...inWorkspace.split(sep));
      if (existsSync(target)) symlinkSync(target, join(to, name));
    } else if (name.startsWith("@")) link(path, join(to, name), root, copy);
    else symlinkSync(realpathSync(path), join(to, name));
  }
}

/** Makes the edits in a copy. @throws {Error} naming an edit whose text is not there, or there twice */
export function apply(copy: string, edits: Edit[]): void {
  for (const { file, find, replace } of edits) {
    const path = join(copy, file);
    const code = readFileSync(path, "utf8");
    const times = code.split(find).length - 1;
    if (times !== 1)
      throw new Error(
        `The text to replace is ${times === 0 ? "not" : `${times} times`} in ${file}; the code has moved on, so write the edit anew:\n${find}`,
      );
    writeFileSync(
      path,
      code.replace(find, () => replace),
    );
  }
}
