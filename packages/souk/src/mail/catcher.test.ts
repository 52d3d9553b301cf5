import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reserve } from "../ports.ts";
import { catcherApp } from "./app.ts";
import { Box } from "./box.ts";
import { catcherCommand, catcherEnvironment, sendsMail } from "./unit.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mail-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const mail = (subject: string, html = "<p>Hello</p>") =>
  Buffer.from(
    [
      "From: Souk <shop@souk.example>",
      "To: ada@example.com",
      `Subject: ${subject}`,
      'Content-Type: multipart/alternative; boundary="b"',
      "",
      "--b",
      "Content-Type: text/plain; charset=utf-8",
      "",
      "Hällo",
      "--b",
      "Content-Type: text/html; charset=utf-8",
      "",
      html,
      "--b--",
      "",
    ].join("\r\n"),
  );

describe("the box", () => {
  test("gives back what it was given, newest first, also after a restart", async () => {
    const box = new Box(folder);
    box.add(mail("one"));
    box.add(mail("two"));
    const again = new Box(folder);
    again.add(mail("three"));
    const list = await again.list();
    expect(list.map(({ subject }) => subject)).toEqual(["three", "two", "one"]);
    expect(list[0]).toMatchObject({ from: "Souk <shop@souk.example>", to: "ada@example.com" });
    const whole = await again.read(list[0]?.id ?? "");
    expect(whole?.text.trim()).toBe("Hällo");
    expect(whole?.html.trim()).toBe("<p>Hello</p>");
    expect(whole?.headers[0]).toEqual({ name: "From", value: "Souk <shop@souk.example>" });
  });

  test("keeps so many, of so many bytes: the oldest go", async () => {
    const box = new Box(folder, { mails: 3, bytes: 1_000_000 });
    for (const subject of ["1", "2", "3", "4", "5"]) box.add(mail(subject));
    expect((await box.list()).map(({ subject }) => subject)).toEqual(["5", "4", "3"]);
    expect(readdirSync(folder)).toHaveLength(3);
    const small = new Box(folder, { mails: 3, bytes: mail("x").length + 10 });
    small.add(mail("6"));
    expect((await small.list()).map(({ subject }) => subject)).toEqual(["6"]);
  });

  test("is for its owner alone, and gives nothing but mails", async () => {
    const box = new Box(folder);
    box.add(mail("one"));
    const [name = ""] = readdirSync(folder);
    expect(statSync(join(folder, name)).mode & 0o077).toBe(0);
    for (const id of ["../../etc/passwd", "", "1"]) expect(await box.read(id)).toBeUndefined();
  });
});

describe("the pages", () => {
  const get = (box: Box, path: string, host = "localhost:1") =>
    catcherApp(box).request(path, { headers: { host } });

  test("show a mail without running or loading anything of it", async () => {
    const box = new Box(folder);
    box.add(mail("<b>bold</b>", "<script>alert(1)</script><img src=https://spy.example/>"));
    const [{ id = "" } = {}] = await box.list();
    const list = await get(box, "/");
    expect(await list.text()).toContain("&lt;b&gt;bold&lt;/b&gt;");
    expect(list.headers.get("content-security-policy")).toContain("default-src 'none'");
    const page = await (await get(box, `/mails/${id}`)).text();
    expect(page).toContain("sandbox=");
    expect(page).not.toContain("<script>");
    const inside = await get(box, `/mails/${id}/html`);
    expect(inside.headers.get("content-security-policy")).toMatch(
      /^sandbox (?!.*allow-scripts).*img-src data:$/,
    );
    expect(await (await get(box, `/mails/${id}/source`)).text()).toContain("multipart/alternative");
  });

  test("are for this machine: a name of somebody else's that leads here reads nothing", async () => {
    const box = new Box(folder);
    for (const host of ["localhost:1", "127.0.0.1", "[::1]:25"])
      expect((await get(box, "/api/mails", host)).status).toBe(200);
    for (const host of ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example"])
      expect((await get(box, "/api/mails", host)).status).toBe(421);
  });
});

test("the process takes mails over SMTP", async () => {
  const [smtp, web] = await Promise.all([reserve(), reserve()]);
  await Promise.all([smtp.release(), web.release()]);
  const child = Bun.spawn(catcherCommand(), {
    env: { ...process.env, ...catcherEnvironment(folder, smtp.port, web.port) },
  });
  const url = `http://127.0.0.1:${web.port}`;
  const up = () =>
    fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await up())) await Bun.sleep(20);
  const replies = await speak(smtp.port, [
    "EHLO test",
    "MAIL FROM:<shop@souk.example>",
    "RCPT TO:<ada@example.com>",
    "DATA",
    `${mail("over the wire")}\r\n.`,
    "QUIT",
  ]);
  expect(replies).toEqual(["220", "250", "250", "250", "354", "250", "221"]);
  const [caught] = (await (await fetch(`${url}/api/mails`)).json()) as { subject: string }[];
  expect(caught?.subject).toBe("over the wire");
  child.kill();
  expect(await child.exited).toBe(0);
}, 30_000);

/** Speaks SMTP, line by line; the codes of the replies. */
function speak(port: number, lines: string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const replies: string[] = [];
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket.on("data", (data) => {
      text += data;
      for (let end = text.indexOf("\r\n"); end >= 0; end = text.indexOf("\r\n")) {
        const reply = text.slice(0, end);
        text = text.slice(end + 2);
        if (reply[3] === "-") continue;
        replies.push(reply.slice(0, 3));
        const next = lines.shift();
        if (next !== undefined) socket.write(`${next}\r\n`);
      }
    });
    socket.on("close", () => resolve(replies));
    socket.on("error", reject);
  });
}

test("a shop has a catcher when a component sends mails", () => {
  const root = join(import.meta.dir, "../../../..");
  const app = { resources: [join(root, "components")] };
  expect(sendsMail({ root, file: "", apps: [app as never] })).toBe(true);
  expect(sendsMail({ root, file: "", apps: [{ resources: [join(root, "dapr")] } as never] })).toBe(false);
});
