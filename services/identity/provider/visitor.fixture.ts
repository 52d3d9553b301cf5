/** A browser without a screen, for tests: keeps cookies, follows redirects within the shop, fills in forms. */
export interface Visitor {
  /** Where it is now: the page, or the address outside of the shop that it was sent to. */
  at: URL;
  status: number;
  /** The text of the page. */
  text: string;
  headers: Headers;
  /** Every answer on the way to where it is, the last one included. */
  way: Response[];
  cookies: Map<string, Cookie>;
  /** The Cookie header for a path. */
  cookiesFor(path: string): string;
  /** Opens an address, as one does who types it in or follows a link. */
  open(to: string): Promise<Visitor>;
  /** Sends the form of the page that leads to a path with this end, with what is typed into its fields. */
  submit(end: string, typed?: Record<string, string>, button?: string): Promise<Visitor>;
  /** The form without sending it: its fields with what they hold. */
  form(end: string): { action: string; fields: Record<string, string> };
  /** Sends a form by hand. */
  post(path: string, fields: Record<string, string>, headers?: Record<string, string>): Promise<Visitor>;
}

export interface Cookie {
  value: string;
  path: string;
  /** As it was set, in lower case. */
  attributes: string;
}

interface Sent {
  method?: string;
  body?: string;
  headers?: Record<string, string>;
}

type Ask = (request: Request) => Promise<Response>;

/**
 * @param origin of the shop
 * @param ends the path at which a client waits, where redirects end
 */
export function visitor(origin: string, ask: Ask, ends = "/session/callback"): Visitor {
  const cookies = new Map<string, Cookie>();

  const carried = (path: string): string =>
    [...cookies]
      .filter(([, cookie]) => path === cookie.path || path.startsWith(cookie.path.replace(/\/?$/, "/")))
      .map(([key, { value }]) => `${key.split(" ")[0]}=${value}`)
      .join("; ");

  function keep(answer: Response, from: URL): void {
    for (const set of answer.headers.getSetCookie()) {
      const [pair = "", ...attributes] = set.split(/; */);
      const at = pair.indexOf("=");
      const find = (name: string): string | undefined =>
        attributes.find((one) => one.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1);
      const path = find("path") ?? from.pathname;
      const key = `${pair.slice(0, at)} ${path}`;
      const gone = Date.parse(find("expires") ?? "") <= 0 || find("max-age") === "0";
      if (gone) cookies.delete(key);
      else
        cookies.set(key, {
          value: pair.slice(at + 1),
          path,
          attributes: attributes.join("; ").toLowerCase(),
        });
    }
  }

  async function go(to: URL, init: Sent = {}): Promise<Visitor> {
    me.way = [];
    let [next, options]: [URL, Sent] = [to, init];
    for (let hops = 0; hops < 20; hops++) {
      const headers = new Headers(options.headers);
      headers.set("accept", "text/html,application/xhtml+xml");
      const cookie = carried(next.pathname);
      if (cookie) headers.set("cookie", cookie);
      const answer = await ask(new Request(next.href, { ...options, headers, redirect: "manual" }));
      keep(answer, next);
      me.way.push(answer);
      const location = answer.headers.get("location");
      me.at = next;
      me.status = answer.status;
      me.headers = answer.headers;
      if (location === null || answer.status < 300 || answer.status >= 400) {
        me.text = await answer.text();
        return me;
      }
      await answer.body?.cancel();
      const target = new URL(location, next);
      if (target.origin !== origin || target.pathname === ends) {
        me.at = target;
        me.text = "";
        return me;
      }
      [next, options] = [target, {}];
    }
    throw new Error("redirects without end");
  }

  const me: Visitor = {
    at: new URL(origin),
    status: 0,
    text: "",
    headers: new Headers(),
    way: [],
    cookies,
    cookiesFor: carried,
    open: (to) => go(new URL(to, origin)),
    form(end) {
      for (const [, head = "", inside = ""] of me.text.matchAll(/<form([^>]*)>(.*?)<\/form>/gs)) {
        const action = attribute(head, "action");
        if (!action?.endsWith(end)) continue;
        const fields = [...inside.matchAll(/<input([^>]*)>/g)].map(([, input = ""]): [string, string] => [
          attribute(input, "name") ?? "",
          attribute(input, "value") ?? "",
        ]);
        return { action, fields: Object.fromEntries(fields) };
      }
      throw new Error(`no form leads to ${end} on ${me.at}: ${me.text.replace(/<style>.*<\/style>/s, "")}`);
    },
    submit(end, typed = {}, button) {
      const { action, fields } = me.form(end);
      return me.post(action, { ...fields, ...typed, ...(button ? { [button]: "yes" } : {}) });
    },
    post: (path, fields, headers = {}) =>
      go(new URL(path, me.at.origin === origin ? me.at : origin), {
        method: "POST",
        body: new URLSearchParams(fields).toString(),
        headers: {
          "content-type": "application/x-www-form-urlencoded",
          "sec-fetch-site": "same-origin",
          ...headers,
        },
      }),
  };
  return me;
}

function attribute(tag: string, name: string): string | undefined {
  const value = new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1];
  return value
    ?.replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}
