/** The component files that the sidecars read: a shop's own copy, so that they can be told of new secrets. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { parseDocument } from "yaml";
import { type Home, writePrivate } from "./home.ts";

const isYaml = /\.ya?ml$/;
const folderOf = (home: Home): string => join(home.dir, "resources");

/**
 * Copies folders of component files into the shop's own folder.
 * @returns what stands for each folder
 */
export function copyResources(home: Home, folders: string[]): Map<string, string> {
  rmSync(folderOf(home), { recursive: true, force: true });
  return new Map(
    [...new Set(folders)].map((folder, at) => {
      const copy = join(folderOf(home), `${at}-${basename(folder)}`);
      mkdirSync(copy, { recursive: true, mode: 0o700 });
      for (const file of readdirSync(folder).filter((name) => isYaml.test(name)))
        writePrivate(join(copy, file), readFileSync(join(folder, file), "utf8"));
      return [folder, copy];
    }),
  );
}

/**
 * Has running sidecars read the secret files again. A store of secrets in a file reads it once; one whose component has
 * changed is made anew, in place (Dapr's hot reload), without a call that fails for longer than it takes.
 */
export function reloadSecrets(home: Home): void {
  if (!existsSync(folderOf(home))) return;
  for (const folder of readdirSync(folderOf(home)))
    for (const file of readdirSync(join(folderOf(home), folder)).filter((name) => isYaml.test(name))) {
      const path = join(folderOf(home), folder, file);
      const document = parseDocument(readFileSync(path, "utf8"));
      if (document.getIn(["spec", "type"]) !== "secretstores.local.file") continue;
      const value = new Date().toISOString();
      const metadata = (document.toJS() as { spec: { metadata: { name: string }[] } }).spec.metadata;
      const found = metadata.findIndex(({ name }) => name === "readAt");
      if (found < 0) document.addIn(["spec", "metadata"], { name: "readAt", value });
      else document.setIn(["spec", "metadata", found, "value"], value);
      // Whole or not at all: the sidecars look at every moment.
      writePrivate(path, document.toString());
    }
}
