/** A mail server for development: takes every mail and shows it on a page, and nothing leaves this machine. */
import { SMTPServer } from "smtp-server";
import { catcherApp } from "./app.ts";
import { Box } from "./box.ts";

const { MAIL_FOLDER = "", MAIL_PORT, MAIL_SMTP_PORT } = process.env;
const hostname = "127.0.0.1";
const most = 5 * 1024 * 1024;

const box = new Box(MAIL_FOLDER);
const smtp = new SMTPServer({
  // Everybody here may send, without a certificate that nobody could check.
  disabledCommands: ["AUTH", "STARTTLS"],
  disableReverseLookup: true,
  logger: false,
  size: most,
  onData(stream, _session, done) {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      if (stream.sizeExceeded)
        return done(Object.assign(new Error("The mail is too large"), { responseCode: 552 }));
      box.add(Buffer.concat(chunks));
      done();
    });
  },
});
smtp.on("error", (error) => console.error(String(error)));
smtp.listen(Number(MAIL_SMTP_PORT), hostname);
const web = Bun.serve({ fetch: catcherApp(box).fetch, hostname, port: Number(MAIL_PORT) });

// A heap that is seldom used is seldom collected, and grows meanwhile.
setInterval(() => Bun.gc(true), 30_000).unref();

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    void web.stop(true);
    smtp.close(() => process.exit(0));
  });
}
