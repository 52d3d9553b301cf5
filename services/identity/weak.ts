import { Problem } from "chassis";

/** What an attacker knows of a person without knowing the person. */
export interface Known {
  email: string;
  name: string;
}

let guessed: Promise<ReadonlySet<string>> | undefined;

/**
 * Refuses a password that would be among the first to be guessed: one of the passwords that leaks show most often, or
 * the person's own address or name (NIST SP 800-63B section 3.1.1.2). Length is all that is demanded besides.
 * @throws {Problem} 422 `weak-password`
 */
export async function refuseWeak(password: string, { email, name }: Known): Promise<void> {
  guessed ??= load();
  const asked = password.normalize("NFKC").toLowerCase();
  const own = [email, email.split("@")[0] ?? "", name].map((text) => text.normalize("NFKC").toLowerCase());
  const same = new Set(asked).size < 3;
  if (!same && !own.includes(asked) && !(await guessed).has(asked)) return;
  const detail = "is easily guessed: choose another one, for instance several words";
  throw new Problem(422, {
    code: "weak-password",
    detail: `This password ${detail}`,
    errors: [{ pointer: "/password", detail }],
  });
}

/** Read when the first password is chosen; shorter ones are refused for their length. */
async function load(): Promise<ReadonlySet<string>> {
  const { dictionary } = await import("@zxcvbn-ts/language-common");
  return new Set(dictionary["passwords-common"].filter((word) => word.length >= 8));
}
