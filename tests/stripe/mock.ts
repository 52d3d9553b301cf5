import { join } from "node:path";
import { CannotObtain, obtainGoProgram, silent } from "../../packages/souk/src/obtain/index.ts";

/** A running stripe-mock: Stripe's own check of what is sent to it, by its OpenAPI description. */
export interface StripeMock {
  url: string;
  stop(): Promise<void>;
}

/**
 * Starts stripe-mock on a free port of loopback; it is built from its Go module the first time.
 * @returns why there is none, where it cannot be built here
 */
export async function startStripeMock(): Promise<StripeMock | string> {
  let program: string;
  try {
    program = await obtainGoProgram(
      {
        name: "stripe-mock",
        package: "github.com/stripe/stripe-mock",
        folder: join(import.meta.dir, "mock"),
      },
      { report: silent },
    );
  } catch (error) {
    if (error instanceof CannotObtain) return error.message;
    throw error;
  }
  const child = Bun.spawn({ cmd: [program, "-http-addr", "127.0.0.1:0"], stdout: "pipe", stderr: "inherit" });
  const listening = Promise.withResolvers<string>();
  // Read to its end: it writes on, and must not be ended by that.
  const reading = (async () => {
    let said = "";
    for await (const chunk of child.stdout) {
      if (said.length < 10_000) said += new TextDecoder().decode(chunk);
      const address = /at address: (127\.0\.0\.1:\d+)\s/.exec(said)?.[1];
      if (address) listening.resolve(`http://${address}`);
    }
    listening.reject(new Error(`stripe-mock has ended: ${said}`));
  })();
  const url = await listening.promise;
  return {
    url,
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
      await reading;
    },
  };
}
