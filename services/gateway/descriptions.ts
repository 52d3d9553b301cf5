import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Kit } from "chassis";

/** The contract files of a service. */
export type ContractFile = "openapi.json" | "events.json";
/** What services say of themselves, by service; one that has said nothing is not there. */
export type Said = Record<string, unknown>;

type Asking = Pick<Kit<unknown>, "sidecar" | "now" | "log">;

const holdsFor = 10_000;
const patience = 2_000;
const services = join(import.meta.dirname, "..");

/**
 * What the services publish about themselves, asked of each through the sidecars. Of a service that does not answer the
 * last word holds; of one that has not answered yet, the contract that is checked in beside this one. So the document
 * of the whole is there whatever is down.
 */
export class Descriptions {
  readonly #kept = new Map<string, unknown>();
  readonly #asked = new Map<ContractFile, { at: number; said: Promise<Said> }>();

  /** Waits for the services the first time only; later they are asked again behind the scenes. */
  async of(kit: Asking, file: ContractFile, names: string[]): Promise<Said> {
    const before = this.#asked.get(file);
    const now = kit.now();
    if (before !== undefined && Math.abs(now - before.at) < holdsFor) return before.said;
    const asking = this.#ask(kit, file, names);
    const current = { at: now, said: before?.said ?? asking };
    this.#asked.set(file, current);
    void asking.then(() => {
      current.said = asking;
    });
    return current.said;
  }

  async #ask(kit: Asking, file: ContractFile, names: string[]): Promise<Said> {
    const said = await Promise.all(
      names.map(async (name) => [name, await this.#one(kit, file, name)] as const),
    );
    return Object.fromEntries(said.filter(([, document]) => document !== undefined));
  }

  async #one({ sidecar, log }: Asking, file: ContractFile, name: string): Promise<unknown> {
    const key = `${name}/${file}`;
    try {
      const answer = await sidecar.fetch(`http://${name}/${file}`, { timeout: patience });
      if (!answer.ok) throw new Error(`it answered ${answer.status}`);
      const said = (await answer.json()) as Record<string, unknown>;
      if (!isContract[file](said)) throw new Error("what it answered is no contract");
      this.#kept.set(key, said);
    } catch (error) {
      if (!this.#kept.has(key)) {
        log.debug({ service: name, err: String(error) }, "described by the contract that is checked in");
        return await checkedIn(file, name);
      }
    }
    return this.#kept.get(key);
  }
}

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null;

/** Of a service that talks nonsense the last good word holds, as of one that says nothing. */
const isContract: Record<ContractFile, (said: Record<string, unknown>) => boolean> = {
  "openapi.json": ({ info, paths, components }) => [info, paths, components].every(isObject),
  "events.json": ({ events, receives }) => Array.isArray(events) && Array.isArray(receives),
};

/** The contract of a service as it lies in this checkout; `undefined` where only the gateway is installed. */
export async function checkedIn(file: ContractFile, name: string): Promise<unknown> {
  const text = await readFile(join(services, name, "contract", file), "utf8").catch(() => undefined);
  return text === undefined ? undefined : JSON.parse(text);
}
