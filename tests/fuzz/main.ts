import { parseArgs } from "node:util";
import { Progress } from "../../packages/souk/src/progress.ts";
import { serviceNames } from "./contract.ts";
import { fuzzService, fuzzShop, type RunOptions, told } from "./run.ts";

// npm run fuzz [-- --service <name>… --cases <n> --seed <n> --path <p> --shop]: see README.md beside this file.

const usage = `Usage: npm run fuzz -- [--service <name>]… [--cases <n>] [--seed <n>] [--path <path>]
       [--store sqlite|postgres] [--shop]
  services: ${serviceNames.join(", ")}`;

const { values } = options();
const cases = whole("cases", values.cases ?? (values.shop ? "1000" : "10000"));
const seed = whole("seed", values.seed ?? String(Math.floor(Math.random() * 2 ** 31)));
const services = values.service ?? serviceNames;
const strange = services.find((name) => !serviceNames.includes(name));
if (strange) stop(`There is no service ${strange}`);

const { store = "sqlite" } = values;
if (store !== "sqlite" && store !== "postgres") stop(`--store is sqlite or postgres, not ${store}`);
const storeFlag = store === "sqlite" ? "" : ` --store ${store}`;

const jobs = values.shop
  ? [{ name: "shop", flag: "--shop", run: fuzzShop }]
  : services.map((name) => ({
      name,
      flag: `--service ${name}${storeFlag}`,
      run: (given: RunOptions) => fuzzService(name, given),
    }));
let failed = 0;
for (const { name, flag, run } of jobs) {
  const progress = new Progress(`${name}, seed ${seed}`, values.path ? 1 : cases, "cases");
  const failures = await run({ cases, seed, path: values.path, store, step: () => progress.step() });
  progress.end();
  failed += failures.length;
  process.stdout.write(
    `${name}: seed ${seed}, ${values.path ? 1 : cases} cases, ${failures.length} failures\n`,
  );
  for (const failure of failures) process.stdout.write(`\n${told(failure, flag)}`);
}
process.exit(failed === 0 ? 0 : 1);

function options() {
  try {
    return parseArgs({
      options: {
        service: { type: "string", multiple: true },
        cases: { type: "string" },
        seed: { type: "string" },
        path: { type: "string" },
        store: { type: "string" },
        shop: { type: "boolean" },
      },
    });
  } catch (error) {
    return stop(error instanceof Error ? error.message : String(error));
  }
}

function whole(name: string, text: string): number {
  const value = Number(text);
  return Number.isSafeInteger(value) && value >= 0
    ? value
    : stop(`--${name} must be a whole number, not ${text}`);
}

function stop(message: string): never {
  process.stderr.write(`${message}\n${usage}\n`);
  process.exit(2);
}
