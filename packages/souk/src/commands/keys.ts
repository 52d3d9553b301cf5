import type { Command } from "commander";
import type { Api } from "../api-client.ts";
import { green } from "../terminal.ts";
import { type Asking, asking, open as openApi, print } from "./asking.ts";
import type { Context } from "./context.ts";

interface Key {
  kid: string;
  algorithm: string;
  state: "signs" | "next" | "checks" | "withdrawn";
  createdAt: string;
  signsFrom: string | null;
}

const meanings: Record<Key["state"], string> = {
  signs: "signs",
  next: "published, signs next",
  checks: "signs no more, its tokens still hold",
  withdrawn: "no longer published",
};

/** Registers `keys`: list, rotate, withdraw. */
export function keysCommand(program: Command, context: Context): void {
  const keys = program
    .command("keys")
    .description("the keys that tokens are signed with: list, rotate, withdraw");
  const sub = (name: string, description: string, isDefault = false): Command =>
    asking(keys.command(name, { isDefault }).description(description));
  const open = (options: Asking): Promise<Api> => openApi(context, options);

  sub("list", "which key signs, which comes next, which are still published", true).action(
    async (options: Asking) => {
      const { body } = await (await open(options)).call<{ items: Key[] }>("/api/keys");
      print(options, body, () => rows(body.items));
    },
  );
  sub("rotate", "let the next key sign as soon as everybody can know it").action(async (options: Asking) => {
    const { body } = await (await open(options)).call<{ at: string; items: Key[] }>("/api/keys/rotate", {
      method: "POST",
    });
    const waits = Date.parse(body.at) > Date.now();
    print(options, body, () =>
      [
        rows(body.items),
        "",
        waits
          ? `The next key signs from ${body.at}: until then it is published, so that everybody knows it.`
          : green("The next key signs from now on."),
      ].join("\n"),
    );
  });
  sub(
    "withdraw <kid>",
    "take a key out of use at once, since others may have it: what it signed holds no longer",
  ).action(async (kid: string, options: Asking) => {
    const api = await open(options);
    await api.call(`/api/keys/${encodeURIComponent(kid)}`, { method: "DELETE" });
    const { body } = await api.call<{ items: Key[] }>("/api/keys");
    print(options, body, () => `${rows(body.items)}\n\n${green(`${kid} is withdrawn`)}`);
  });
}

function rows(items: Key[]): string {
  const width = Math.max(0, ...items.map(({ kid }) => kid.length));
  return items
    .map(({ kid, algorithm, state, signsFrom }) =>
      `${kid.padEnd(width)}  ${algorithm}  ${(signsFrom ?? "").padEnd(24)}  ${meanings[state] ?? state}`.trimEnd(),
    )
    .join("\n");
}
