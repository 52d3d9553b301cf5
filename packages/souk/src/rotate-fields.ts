/** A new key for encrypted fields, in a running shop and without a request that fails. */
import { changeKeyring, keyringOf, keyringsIn, withCurrentOnly, withNewest, withNext } from "./field-keys.ts";
import { type Home, secretsOf } from "./home.ts";
import { reloadSecrets } from "./resources.ts";
import type { Run } from "./run.ts";

export interface Rotation {
  service: string;
  /** The key that seals now. */
  current: string;
  /** The keys that are gone. */
  removed: string[];
}

export interface RotateOptions {
  home: Home;
  /** What runs; null: nothing. */
  run: Run | null;
  /** Only these services; all, where nothing is said. */
  services?: string[];
  say(text: string): void;
  /** Most that one step may take: 10 minutes. */
  patienceMs?: number;
}

/**
 * Gives each service a new key, in steps that may be broken off and taken up again: everybody knows the key before
 * anybody uses it; everything is sealed with it before the old one goes.
 * @throws {Error} naming the service and the step that takes too long; or a service that has no keys
 */
export async function rotateFields(options: RotateOptions): Promise<Rotation[]> {
  const { home, run, say } = options;
  const all = keyringsIn(home);
  const chosen = options.services ?? all;
  const unknown = chosen.find((app) => !all.includes(app));
  if (all.length === 0) throw new Error("There are no keys yet: start the shop first (npm start)");
  if (unknown !== undefined) throw new Error(`No service ${unknown} has keys: there are ${all.join(", ")}`);
  if (!run) {
    const before = chosen.map((app) => changeKeyring(home, app, (ring) => withNewest(withNext(ring))));
    say(
      "Nothing runs: the new keys are in use from the next start on. Run this again then, to end the old ones.",
    );
    return before.map(({ current }, at) => ({ service: chosen[at] ?? "", current, removed: [] }));
  }
  const seen = new Map(
    await Promise.all(chosen.map(async (app) => [app, await look(options, app)] as const)),
  );
  // Who seals nothing has a key all the same, for the day that it does: nobody uses it, so nothing has to be waited for.
  const sealing = chosen.filter((app) => seen.get(app)?.known.size);

  for (const app of chosen) changeKeyring(home, app, withNext);
  reloadSecrets(home);
  say("new keys are made");
  for (const app of sealing) {
    const wanted = Object.keys(keyringOf(home, app).keys);
    await until(options, `${app} knows its new key`, async () => {
      const { known } = await look(options, app);
      return wanted.every((key) => known.has(key));
    });
  }
  say(`known to ${list(sealing)}`);

  for (const app of chosen) changeKeyring(home, app, withNewest);
  reloadSecrets(home);
  for (const app of sealing) {
    const { current } = keyringOf(home, app);
    await until(
      options,
      `${app} seals with ${current}`,
      async () => (await look(options, app)).current === current,
    );
  }
  say("in use; what is there is sealed anew in the background");

  const removed = new Map<string, string[]>();
  for (const app of sealing) {
    await nothingStale(options, app);
    say(`${app}: everything is sealed with ${keyringOf(home, app).current}`);
  }
  for (const app of chosen) {
    const { current, keys } = keyringOf(home, app);
    removed.set(
      app,
      Object.keys(keys).filter((key) => key !== current),
    );
    changeKeyring(home, app, withCurrentOnly);
  }
  reloadSecrets(home);
  for (const app of sealing)
    await until(
      options,
      `${app} forgets its old keys`,
      async () => (await look(options, app)).known.size === 1,
    );
  say("the old keys are gone");
  return chosen.map((service) => ({
    service,
    current: keyringOf(home, service).current,
    removed: removed.get(service) ?? [],
  }));
}

/**
 * Waits until no row needs an old key. Two more looks must find it so: a request that was under way when the key
 * changed has committed by then.
 */
async function nothingStale(options: RotateOptions, app: string): Promise<void> {
  let since: number | undefined;
  await until(options, `${app} seals everything anew`, async () => {
    const { stale, looks } = await look(options, app);
    if (stale !== 0) since = undefined;
    else since ??= looks;
    return since !== undefined && looks >= since + 2;
  });
}

interface Seen {
  known: Set<string>;
  current: string | undefined;
  /** Rows that need another key than the current one; undefined: not counted yet. */
  stale: number | undefined;
  looks: number;
}

/** What a service says of its keys in its metrics. */
async function look({ home, run }: RotateOptions, app: string): Promise<Seen> {
  const port = run?.services[app]?.appPort;
  const none = { known: new Set<string>(), current: undefined, stale: undefined, looks: 0 };
  if (!port) return none;
  try {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, {
      headers: { "dapr-api-token": secretsOf(home, app)["app-api-token"] },
      signal: AbortSignal.timeout(5_000),
    });
    return read(await response.text());
  } catch (error) {
    // It may be on its way up again.
    if (error instanceof Error) return none;
    throw error;
  }
}

/** Reads the lines of the Prometheus text format that matter here. */
export function read(text: string): Seen {
  const of = (name: string): [string, number][] =>
    [...text.matchAll(new RegExp(`^${name}\\{([^}]*)\\} (\\S+)$`, "gm"))].map(([, labels = "", value]) => [
      /\bkey="([^"]*)"/.exec(labels)?.[1] ?? "",
      Number(value),
    ]);
  const keys = of("souk_field_keys");
  const stale = of("souk_fields_stale");
  return {
    known: new Set(keys.map(([key]) => key)),
    current: keys.find(([, value]) => value === 1)?.[0],
    stale: stale.length === 0 ? undefined : stale.reduce((sum, [, value]) => sum + value, 0),
    looks: of("souk_field_key_looks_total")[0]?.[1] ?? 0,
  };
}

async function until(
  { patienceMs = 600_000 }: RotateOptions,
  what: string,
  done: () => Promise<boolean>,
): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!(await done())) {
    if (performance.now() > end)
      throw new Error(`Waited too long until ${what}. Nothing is lost: run this again to go on.`);
    await Bun.sleep(200);
  }
}

const list = (names: string[]): string => names.join(", ") || "nobody: no service seals";
