/**
 * Writes the package as it is published, JavaScript with types, into a folder: `npm publish <folder>`.
 *
 *     bun pack.ts <folder>
 */
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import manifest from "./package.json";

const root = import.meta.dir;
const workspace = resolve(root, "../..");

/** Throws what the compiler says when it does not compile. */
export async function pack(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const config = join(folder, "tsconfig.json");
  writeFileSync(
    config,
    JSON.stringify({
      extends: join(workspace, "tsconfig.json"),
      compilerOptions: {
        noEmit: false,
        declaration: true,
        rewriteRelativeImportExtensions: true,
        rootDir: join(root, "src"),
        outDir: join(folder, "dist"),
        typeRoots: [join(workspace, "node_modules/@types")],
      },
      include: [join(root, "src")],
      exclude: [join(root, "src/**/*.test.ts")],
    }),
  );
  const tsc = Bun.spawn([join(workspace, "node_modules/.bin/tsc"), "-p", config], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const said = await new Response(tsc.stdout).text();
  if ((await tsc.exited) !== 0) throw new Error(said);
  const { devDependencies: _, scripts: __, ...published } = manifest;
  const exports = Object.entries(manifest.exports).map(([name, source]) => {
    const built = source.replace("./src/", "./dist/").replace(/\.ts$/, "");
    return [name, { types: `${built}.d.ts`, default: `${built}.js` }];
  });
  const files = ["dist", "CHANGELOG.md"];
  writeFileSync(
    join(folder, "package.json"),
    `${JSON.stringify({ ...published, exports: Object.fromEntries(exports), files }, null, 2)}\n`,
  );
  for (const name of ["README.md", "CHANGELOG.md"]) cpSync(join(root, name), join(folder, name));
  cpSync(join(workspace, "LICENSE"), join(folder, "LICENSE"));
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (!folder) throw new Error(`Say where to: bun ${dirname(import.meta.path)}/pack.ts <folder>`);
  await pack(resolve(folder));
}
