import { StorageUnavailable } from "drizzle-outbox";
import { compose } from "./compose.ts";
import { integer, readConfig } from "./config.ts";
import { type Listening, listen } from "./listen.ts";
import { createLog } from "./log.ts";
import type { Service } from "./service.ts";

/** Starts a service as a process: listens, says when it is ready, stops in order on SIGTERM and SIGINT. */
export async function start<S>(definition: Service<S>): Promise<void> {
  const config = readConfig(definition.name);
  const running = await compose(definition, { config }).catch((error: unknown) => {
    if (!(error instanceof StorageUnavailable)) throw error;
    // Its message is for whoever has to mend it; where in the code it was found is not.
    createLog(config).fatal({ storage: error.reason }, error.message);
    process.exit(1);
  });
  const { log } = running.kit;
  const servers: Listening[] = [];
  const server = definition.server ?? "bun";
  const inside = await listen(running, { port: config.appPort, hostname: "127.0.0.1", server });
  servers.push(inside);
  if (running.edge) {
    servers.push(
      await listen(
        { fetch: running.edge },
        {
          port: config.publicPort,
          hostname: config.host,
          server,
          // What the public may hold a connection for without sending or taking anything.
          idle: integer(config, "IDLE_TIMEOUT_S", 30),
        },
      ),
    );
  }
  log.info({ port: inside.port }, `${config.name} listens`);

  let stopping = false;
  const stop = async (signal: string): Promise<void> => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, `${config.name} stops`);
    // What does not finish in time is safe in the outbox and the inbox; nobody should wait for it.
    const patience = setTimeout(() => process.exit(0), 8_000);
    patience.unref();
    running.leave();
    await Promise.all(servers.map((listening) => listening.close()));
    await running.stop();
    process.exit(0);
  };
  process.on("SIGTERM", () => void stop("SIGTERM"));
  process.on("SIGINT", () => void stop("SIGINT"));
}
