import { Counter, Gauge, Histogram, Registry } from "prom-client";

/** The metrics of one service process, in the names of OpenTelemetry's HTTP conventions where there is one. */
export interface Metrics {
  http: Histogram<"method" | "route" | "status">;
  reactions: Counter<"type" | "result">;
  /** Asks for what has to be looked up at the time of scraping. */
  watch(pending: () => Promise<Backlog>): void;
  /** Adds what a service measures of itself, by name. */
  add(measures: Record<string, Figure>): void;
  /** Prometheus text exposition. */
  text(): Promise<string>;
  contentType: string;
}

/** What waits in a service's store. */
export interface Backlog {
  outbox: number;
  jobs: number;
  oldestOutboxAgeMs: number;
  deadLetters: number;
}

/** One thing that is read whenever somebody scrapes. */
export interface Figure {
  help: string;
  /** The name of the label that its values have. */
  label: string;
  /** It only ever rises. */
  counts?: boolean;
  /** Its value for each value of the label. */
  read(): Record<string, number>;
}

export function createMetrics(service: string): Metrics {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  const registers = [registry];
  const http = new Histogram({
    name: "http_server_request_duration_seconds",
    help: "Time from request to answer",
    labelNames: ["method", "route", "status"],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers,
  });
  const reactions = new Counter({
    name: "souk_reactions_total",
    help: "Events taken in, by what became of them",
    labelNames: ["type", "result"],
    registers,
  });
  new Gauge({
    name: "process_resident_memory_bytes",
    help: "Resident memory",
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  return {
    http,
    reactions,
    contentType: registry.contentType,
    text: () => registry.metrics(),
    add(measures) {
      for (const [name, { help, label, counts, read }] of Object.entries(measures)) {
        const metric = counts
          ? new Counter({ name, help, labelNames: [label], registers, collect })
          : new Gauge({ name, help, labelNames: [label], registers, collect });
        function collect(): void {
          metric.reset();
          for (const [of, value] of Object.entries(read())) metric.inc({ [label]: of }, value);
        }
      }
    },
    watch(pending) {
      // One look for all that is scraped together; each waits for it, so that none tells of the scrape before.
      let asked: Promise<Backlog> | undefined;
      const now = (): Promise<Backlog> => {
        asked ??= pending().finally(() => {
          asked = undefined;
        });
        return asked;
      };
      const gauge = (name: string, help: string, read: (seen: Backlog) => number) =>
        new Gauge({
          name,
          help,
          registers,
          async collect() {
            this.set(read(await now()));
          },
        });
      gauge("souk_outbox_pending", "Events committed and not yet sent", (seen) => seen.outbox);
      gauge("souk_jobs_pending", "Jobs that wait for their time", (seen) => seen.jobs);
      gauge(
        "souk_dead_letters",
        "Events that could not be handled and wait for somebody's decision",
        (seen) => seen.deadLetters,
      );
      gauge(
        "souk_outbox_oldest_seconds",
        "Age of the oldest event that is not yet sent",
        (seen) => seen.oldestOutboxAgeMs / 1000,
      );
    },
  };
}
