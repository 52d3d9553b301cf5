import type { Command } from "commander";
import {
  type ConfigurationStore,
  configurationStore,
  type Declared,
  declaredFlags,
  refusal,
} from "../configuration.ts";
import { redisPassword } from "../home.ts";
import { ProjectError, readProject } from "../project.ts";
import { readRun } from "../run.ts";
import { bold, dim, green, table } from "../terminal.ts";
import { type About, about, print } from "./asking.ts";
import { type Context, homeFor } from "./context.ts";

interface Shown {
  key: string;
  /** The text that is set; null: the default holds. */
  set: string | null;
  default: unknown;
  services: string[];
  says: string;
}

/** Registers `config`: list, get, set, unset. */
export function configCommand(program: Command, context: Context): void {
  const config = program
    .command("config")
    .description("flags and limits of the running shop; services heed a change at once");
  const sub = (name: string, description: string, isDefault = false): Command =>
    about(config.command(name, { isDefault }).description(description));
  const known = (key: string): Declared => {
    const declared = declaredFlags(readProject(context.root));
    const found = declared.find((flag) => flag.key === key);
    if (found) return found;
    throw new ProjectError(
      `No service knows ${key}. There is: ${declared.map((flag) => flag.key).join(", ") || "nothing"}`,
    );
  };
  const within = async <T>(options: About, work: (store: ConfigurationStore) => Promise<T>): Promise<T> => {
    const home = homeFor(context, options.home);
    const run = readRun(home);
    if (!run) throw new ProjectError("The shop is not running. Start it with: npm start");
    const store = configurationStore({ port: run.redis.port, password: redisPassword(home) });
    try {
      return await work(store);
    } finally {
      store.close();
    }
  };
  const shown = async (store: ConfigurationStore, flags: Declared[]): Promise<Shown[]> => {
    const texts = await store.all(flags.map(({ key }) => key));
    return flags.map(({ key, says, services, default: fallback }) => ({
      key,
      set: texts[key] ?? null,
      default: fallback,
      services,
      says,
    }));
  };

  sub("list", "every flag there is: what is set, which services heed it", true).action((options: About) =>
    within(options, async (store) => {
      const all = await shown(store, declaredFlags(readProject(context.root)));
      print(options, all, () => all.map(inWords).join("\n\n"));
    }),
  );
  sub("get <key>", "one of them; prints nothing where its default holds").action(
    (key: string, options: About) =>
      within(options, async (store) => {
        const [one] = await shown(store, [known(key)]);
        print(options, one, () => one?.set ?? "");
      }),
  );
  sub("set <key> <value>", "set it: a text as it is, anything else as JSON").action(
    (key: string, value: string, options: About) =>
      within(options, async (store) => {
        const flag = known(key);
        const refused = await refusal(readProject(context.root), flag, value);
        if (refused !== undefined)
          throw new ProjectError(`${key} cannot be ${JSON.stringify(value)}: ${refused}`);
        await store.set(key, value);
        const [one] = await shown(store, [flag]);
        print(options, one, () => green(`${key} is set, for ${flag.services.join(", ")}`));
      }),
  );
  sub("unset <key>", "let its default hold again").action((key: string, options: About) =>
    within(options, async (store) => {
      const flag = known(key);
      await store.unset(key);
      const [one] = await shown(store, [flag]);
      print(options, one, () => green(`${key} is unset, for ${flag.services.join(", ")}`));
    }),
  );
}

function inWords({ key, set, default: fallback, services, says }: Shown): string {
  const value = set === null ? dim(`not set (${JSON.stringify(fallback)})`) : bold(set);
  return [table([[key, value]]), dim(`  ${services.join(", ")}: ${says}`)].join("\n");
}
