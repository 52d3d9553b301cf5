import { line, open, router } from "chassis";
import * as v from "valibot";
import { forgotPassword, register, resetPassword, verifyEmail } from "../accounts.ts";
import { Email, Password } from "../contracts.ts";
import type { Store } from "../store.ts";
import {
  type C,
  cameBack,
  type Fields,
  failed,
  fieldsOf,
  formFor,
  once,
  parsedForm,
  refusal,
  show,
} from "./forms.ts";
import { forgotPage, notePage, registerPage, resetPage, type Said, verifyPage } from "./pages.ts";

/** Pages about one's account that need no client: registering, and what the links in mails lead to. */

const Registration = v.object({ email: Email, password: Password, name: line(200) });
const Mailbox = v.object({ email: Email });
const Reset = v.object({ password: Password });

/** What to say instead of going on. */
interface Refused {
  said: Said;
  status: number;
}

/** Registers somebody by a form. @returns what does not fit, for the form to say */
export async function registerOnce(c: C, fields: Fields): Promise<Refused | undefined> {
  const typed = { email: fields.email ?? "", name: fields.name ?? "" };
  const form = parsedForm(Registration, fields);
  if (!form.ok) return { said: { ...form.said, typed }, status: 422 };
  const { kit } = c.var;
  const language = /^[a-z]{2}/.exec(c.req.header("accept-language") ?? "")?.[0];
  const key = ["register", fields.token, form.value];
  try {
    await once(key, kit.now(), () => register(kit, { ...form.value, language }));
    return undefined;
  } catch (error) {
    const { said, status } = refusal(error);
    return { said: { ...said, typed }, status };
  }
}

const stale: Said = {
  wrong: "This page has been open for too long, or your browser takes no cookies. Try again.",
};
const forbidden = { status: 403 };
const toShop = { href: "/", text: "To the shop" };
const toSignIn = { href: "/session/sign-in", text: "Sign in" };
const mayOpen = "whoever has no account yet, or no password any more, has nothing to show";

export const accountPages = router<Store>()
  .get("/register", open(mayOpen), async (c) =>
    show(c, registerPage(await formFor(c, "/register"), undefined)),
  )
  .post("/register", open(mayOpen), async (c) => {
    const fields = await fieldsOf(c);
    const form = await formFor(c, "/register");
    if (!(await cameBack(c, "/register", fields)))
      return show(c, registerPage(form, undefined, stale), forbidden);
    const refused = await registerOnce(c, fields);
    if (refused) return show(c, registerPage(form, undefined, refused.said), refused);
    const text = "We have sent you a mail: open the link in it, and you can sign in.";
    return show(c, notePage("Look into your mail", text, toShop));
  })
  .get("/forgot-password", open(mayOpen), async (c) =>
    show(c, forgotPage(await formFor(c, "/forgot-password"))),
  )
  .post("/forgot-password", open(mayOpen), async (c) => {
    const fields = await fieldsOf(c);
    const form = await formFor(c, "/forgot-password");
    const typed = { email: fields.email ?? "" };
    if (!(await cameBack(c, "/forgot-password", fields)))
      return show(c, forgotPage(form, { ...stale, typed }), forbidden);
    const asked = parsedForm(Mailbox, fields);
    if (!asked.ok) return show(c, forgotPage(form, { ...asked.said, typed }), { status: 422 });
    const { kit } = c.var;
    const { email } = asked.value;
    try {
      await once(["forgot", fields.token, email], kit.now(), () => forgotPassword(kit, email));
    } catch (error) {
      const { said, status } = refusal(error);
      return show(c, forgotPage(form, { ...said, typed }), { status });
    }
    const text =
      "If there is an account with this address, a link is on its way to it. It holds for an hour.";
    return show(c, notePage("Look into your mail", text, toShop));
  })
  .get("/reset-password", open(mayOpen), async (c) =>
    show(c, resetPage(await formFor(c, "/reset-password"), c.req.query("token") ?? "")),
  )
  .post("/reset-password", open(mayOpen), async (c) => {
    const fields = await fieldsOf(c);
    const { link = "" } = fields;
    const form = await formFor(c, "/reset-password");
    if (!(await cameBack(c, "/reset-password", fields)))
      return show(c, resetPage(form, link, stale), forbidden);
    const asked = parsedForm(Reset, fields);
    if (!asked.ok) return show(c, resetPage(form, link, asked.said), { status: 422 });
    const { kit } = c.var;
    const { password } = asked.value;
    try {
      await once(["reset", fields.token, link, password], kit.now(), () =>
        resetPassword(kit, link, password),
      );
    } catch (error) {
      const { said, status } = refusal(error);
      return show(c, resetPage(form, link, said), { status });
    }
    const text = "Sign in with it from now on. Wherever you were signed in before, you no longer are.";
    return show(c, notePage("Your new password is saved", text, toSignIn));
  })
  .get("/verify-email", open(mayOpen), async (c) =>
    show(c, verifyPage(await formFor(c, "/verify-email"), c.req.query("token") ?? "")),
  )
  .post("/verify-email", open(mayOpen), async (c) => {
    const fields = await fieldsOf(c);
    const { link = "" } = fields;
    const form = await formFor(c, "/verify-email");
    if (!(await cameBack(c, "/verify-email", fields)))
      return show(c, verifyPage(form, link, stale), forbidden);
    const { kit } = c.var;
    try {
      await once(["verify", fields.token, link], kit.now(), () => verifyEmail(kit, link));
    } catch (error) {
      const { said, status } = refusal(error);
      return show(c, notePage("That did not work", said.wrong ?? "", toShop), { status });
    }
    return show(c, notePage("Thank you", "Your e-mail address is confirmed: you can sign in.", toSignIn));
  });

accountPages.onError(failed);
